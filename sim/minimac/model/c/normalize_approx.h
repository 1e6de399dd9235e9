
    /* 4. Normalise by 0, ACC_TOP or ACC_TOP + ACC_NEXT, as the bits at the top say. */
    if (total >> (ACC_WINDOW - ACC_TOP) == 0) {
        const bool next = total >> (ACC_WINDOW - ACC_TOP - ACC_NEXT) != 0;
        const int shift = next ? ACC_TOP : ACC_TOP + ACC_NEXT;
        total <<= shift;
        exponent -= shift;
    }
