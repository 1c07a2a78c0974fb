/* The problem, for C and C++. */
enum {
    FIB_N = 27,
    FIB_CALLS = 317810, /* of fib(27), those with n > 1 */
};
