
    /* 4. Normalise: the leading one comes to the top. */
    while (total >> (ACC_WINDOW - 1) == 0) {
        total <<= 1;
        exponent--;
    }
