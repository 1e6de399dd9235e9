
    /* 5. Round to ACC_WIDTH bits. */
    const uint64_t rest = total << (64 - ACC_BELOW);
    total >>= ACC_BELOW;
    total += NAME_goes_up(ACC_ROUND, negative, (total & 1) != 0, rest NO_RANDOM);
    if (total >> ACC_WIDTH != 0) {
        total >>= 1;
        exponent++;
    }
