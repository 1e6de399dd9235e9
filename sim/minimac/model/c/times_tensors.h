    total = NAME_multiply_by(total, &magnitude, NAME_scale(A_TENSOR, B_TENSOR));
    NAME_take_sign(&magnitude);
