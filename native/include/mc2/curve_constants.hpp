// Constants of the elementary functions, as fixed-point numbers, the lowest word first.
//
// Interval i of 64 has the numbers from 1 + i/64 to 1 + (i+1)/64; `reciprocal` is about 512 over its
// middle (over half of it for the upper 32), and 512 itself for the first and the last one, so that
// numbers near 1 keep all their digits. tests/unit/operators/test_curves.py computes them anew.
#pragma once

#include "mc2/scaled.hpp"

namespace mc2::oblivious::MC2_ISA {

constexpr unsigned log_fraction = 176;  // bits after the point of the three words of a logarithm

struct LogInterval {
    u64 reciprocal;
    u64 logarithm[3];  // -ln(reciprocal / 512)
};

constexpr u64 ln_of_2[3] = {0xf6af40f343267299, 0x79abc9e3b39803f2, 0x0000b17217f7d1cf};

constexpr LogInterval log_intervals[64] = {
    {512, {0x0000000000000000, 0x0000000000000000, 0x0000000000000000}},
    {500, {0x28edeac183ca3d8f, 0xafa2e6d2f9e60599, 0x00000612494a3232}},
    {493, {0x8ffe623be2bf7bca, 0x357d5ef9eb35578b, 0x000009ae45fd5098}},
    {485, {0x363859c46a8bea5f, 0x101e5cf3a0f56f72, 0x00000dde75fe347a}},
    {478, {0x8a2a5400085b2726, 0x66d154f930b2a614, 0x000011973bd14655}},
    {471, {0x20e0e065685cc794, 0x83ae818a78e5cf92, 0x0000155e10050e03}},
    {465, {0x7b036ccd8cbb4202, 0x28c0af9bd6df6f7b, 0x000018a6477a91dc}},
    {458, {0x99a244d3ed900888, 0x2368e32d56699c17, 0x00001c885801bc4b}},
    {452, {0x523d84137707178c, 0x6594d82f7a81b1b2, 0x00001fe89139dbd5}},
    {446, {0x2f2ff4cfc973830b, 0x53c7221c4c9a2103, 0x0000235456fc47ee}},
    {440, {0xa1c206c033f255a7, 0x2c5f504696e512b2, 0x000026cbf9602b20}},
    {434, {0x52b7e7052ecb2f8d, 0x19f472b4bee35201, 0x00002a4fcbc9436b}},
    {428, {0x43f79b1bf1155189, 0x77390d31ef0f4c9d, 0x00002de02516ead5}},
    {423, {0x2d51c1720532558c, 0x28eb42f9af7514ff, 0x000030e2426ea1d3}},
    {417, {0x185cfa0a62d76970, 0x0a77c81f7170d319, 0x0000348a8105cd56}},
    {412, {0x42aa9f6518808497, 0x5a1dd355f6a516d7, 0x000037a10e7077b1}},
    {407, {0x154dd25d1756e92b, 0x291f903df2c72431, 0x00003ac142ff206a}},
    {402, {0x5a6c27db41c084b3, 0xcbbdd53488e3dd7e, 0x00003deb5bc9b9ff}},
    {397, {0x5c5523b1bc78b80c, 0xdef8869cbf9e3442, 0x0000411f98337a0e}},
    {392, {0x078eed47f61e125c, 0xef78ce2d07f1cb7a, 0x0000445e3a089f91}},
    {388, {0x7ace212a54fffc0c, 0x5376a8a3dedb6ee5, 0x000046fe658d69ae}},
    {383, {0xe564a2034abbd403, 0xef3d48cf1d7545ff, 0x00004a506bec61ad}},
    {379, {0x6abde91b02b4d114, 0x838caa91d6e2e4fe, 0x00004d00784abb2e}},
    {374, {0x6dbefaded132f19f, 0x1c86dd921c139c8c, 0x00005066d08f57a3}},
    {370, {0xe10f7dc451a2e2c1, 0xefbb727a93ae168a, 0x0000532782785cb0}},
    {366, {0x35e99553f4c0f0a2, 0xeb7b7b97503ba4e7, 0x000055efdd4f2347}},
    {362, {0x3ce6a5ddcbdd12c8, 0x24ee0c6728fffcca, 0x000058c00c2ceab1}},
    {358, {0xf5b688bf100d331d, 0xc8595f088b61a335, 0x00005b983b9abc65}},
    {354, {0xd7f5edadbcb29fa8, 0xf63e977e8bbc0dd9, 0x00005e7899a1f3ec}},
    {350, {0x714b28cb694d586b, 0xeab79999bbc4eac9, 0x0000616155ddb72f}},
    {347, {0x3a287f9793dd7429, 0x0de2763763baffc0, 0x000063957e6cd26e}},
    {343, {0x0b5663ebf12d1b8a, 0xe73535438beab137, 0x0000668d570cef5a}},
    {679, {0x87e656db0ce892a2, 0xd18745d6af3c50af, 0xffffb7bb6a99e7a7}},
    {672, {0x7dc0f982fb5bc3e6, 0xc7f18ce0aa3be474, 0xffffba628d515167}},
    {665, {0x4934d9e19d44f98c, 0x0cd333a23204a402, 0xffffbd10cc93cb6d}},
    {659, {0x290dde7daed126d4, 0x430bb183e51ec3fe, 0xffffbf62c8fa4f73}},
    {652, {0xd60a5af6797c5b84, 0x935bce435791ef9b, 0xffffc21ea468474d}},
    {646, {0x116a575c3f768c57, 0x053e59d7333a481f, 0xffffc47c86bea827}},
    {639, {0x2307a74961911470, 0xb6b109a5d581c6bd, 0xffffc7468b578a37}},
    {633, {0x29c58c3504cc9f27, 0xe88a906d00a8e7b8, 0xffffc9b0d023739b}},
    {627, {0xea547ba8ab5d2419, 0x985bd9fce6ffce95, 0xffffcc20f85b12cb}},
    {621, {0x75a02ca279646fc3, 0x49837bf48a0db44e, 0xffffce9720fbb93b}},
    {615, {0x9800bc1414a96977, 0xb16df970c385d991, 0xffffd11367dae1bd}},
    {610, {0x80ab0a1bc6d9b1a3, 0x5e424039387aa2c9, 0xffffd32a657b1aa5}},
    {604, {0xb248673895777558, 0x90ba37fc523869cc, 0xffffd5b23438bc97}},
    {599, {0x2b963af8ccaaad91, 0x8023840fc24e4c36, 0xffffd7d2fa811b08}},
    {593, {0xddc87b0db03bfe3c, 0x5ef191aff11f80b0, 0xffffda66be14141b}},
    {588, {0x81887026f66acd14, 0xbfadf3f72e34ca31, 0xffffdc91aa55a130}},
    {583, {0xb1e9829a921a3269, 0x7982b8abe8d3d227, 0xffffdec153c231cc}},
    {577, {0xa272939c642eb726, 0x988b763af169599f, 0xffffe1674ab698eb}},
    {572, {0x896269950723c88d, 0xbcea29e8107e9e4e, 0xffffe3a1ab70a438}},
    {567, {0xd90c0406828ed940, 0x2be892068434e880, 0xffffe5e10e27f9e3}},
    {563, {0x815d0e0900b1fe23, 0xd5cd246977c8dbb2, 0xffffe7b1076717d7}},
    {558, {0x3992b712777c0e68, 0x3c4e21163b086da6, 0xffffe9f9a756c8af}},
    {553, {0x6c600ceb41693421, 0x120aca5651894bd1, 0xffffec478a674e49}},
    {548, {0x1b925bd6fa5997a6, 0x1f179da3e8c22cda, 0xffffee9ac9115c85}},
    {544, {0x87672cb8b2cc8a4b, 0xaccf419b47488a66, 0xfffff07ae79ff74e}},
    {539, {0xf7377a7ad15e0718, 0xe584a0402924d9ac, 0xfffff2d80b002e16}},
    {535, {0xff61d3b606a13fdb, 0x33e0c181b1294d29, 0xfffff4c03587b5a1}},
    {531, {0x51ef708cbcff5a61, 0xc673bd48b1ff0c91, 0xfffff6ac09eef58b}},
    {526, {0x7980092b3382eb23, 0x9a010ae69229dc86, 0xfffff9180ff6141b}},
    {522, {0xf3397c3473b2d988, 0xa2c432d6a40ace86, 0xfffffb0c56ef2e56}},
    {518, {0x32bd7adaf3ff8b04, 0xb1245b5da1f4f7c8, 0xfffffd0477140fde}},
    {512, {0x0000000000000000, 0x0000000000000000, 0x0000000000000000}},
};

// 1 / (k + 1), 126 bits after the point.
constexpr Fixed128 log_terms[22] = {
    {0x0000000000000000, 0x4000000000000000},
    {0x0000000000000000, 0x2000000000000000},
    {0x5555555555555555, 0x1555555555555555},
    {0x0000000000000000, 0x1000000000000000},
    {0xcccccccccccccccd, 0x0ccccccccccccccc},
    {0xaaaaaaaaaaaaaaab, 0x0aaaaaaaaaaaaaaa},
    {0x9249249249249249, 0x0924924924924924},
    {0x0000000000000000, 0x0800000000000000},
    {0x71c71c71c71c71c7, 0x071c71c71c71c71c},
    {0x6666666666666666, 0x0666666666666666},
    {0x5d1745d1745d1746, 0x05d1745d1745d174},
    {0x5555555555555555, 0x0555555555555555},
    {0x4ec4ec4ec4ec4ec5, 0x04ec4ec4ec4ec4ec},
    {0x4924924924924925, 0x0492492492492492},
    {0x4444444444444444, 0x0444444444444444},
    {0x0000000000000000, 0x0400000000000000},
    {0xc3c3c3c3c3c3c3c4, 0x03c3c3c3c3c3c3c3},
    {0x38e38e38e38e38e4, 0x038e38e38e38e38e},
    {0x79435e50d79435e5, 0x035e50d79435e50d},
    {0x3333333333333333, 0x0333333333333333},
    {0x30c30c30c30c30c3, 0x030c30c30c30c30c},
    {0x2e8ba2e8ba2e8ba3, 0x02e8ba2e8ba2e8ba},
};

// 1 / k!, 126 bits after the point.
constexpr Fixed128 exp_terms[18] = {
    {0x0000000000000000, 0x4000000000000000},
    {0x0000000000000000, 0x4000000000000000},
    {0x0000000000000000, 0x2000000000000000},
    {0xaaaaaaaaaaaaaaab, 0x0aaaaaaaaaaaaaaa},
    {0xaaaaaaaaaaaaaaab, 0x02aaaaaaaaaaaaaa},
    {0x8888888888888889, 0x0088888888888888},
    {0xc16c16c16c16c16c, 0x0016c16c16c16c16},
    {0x4034034034034034, 0x0003403403403403},
    {0x6806806806806807, 0x0000680680680680},
    {0x99c7d560e4472801, 0x00000b8ef1d2ab63},
    {0xf5c72ef016d3ea66, 0x00000127e4fb7789},
    {0x44e38fe747e4b838, 0x0000001ae64567f5},
    {0x1b12f6a89b530f5a, 0x000000023ddb1dff},
    {0x50da12f9470663a4, 0x000000002c248c27},
    {0x180f93a4175be28c, 0x0000000003272e95},
    {0xce67703e23b0cad6, 0x000000000035cfe7},
    {0x7ce67703e23b0cad, 0x0000000000035cfe},
    {0x8ee0615a94d64c0a, 0x00000000000032a5},
};

// Cut, not rounded: what is taken off by them is never too much.
constexpr Fixed128 ln_of_2_cut = {0x9abc9e3b39803f2f, 0x000b17217f7d1cf7};      // 116 bits after the point
constexpr Fixed128 log2_of_e_cut = {0xbe87fed0691d3e88, 0xb8aa3b295c17f0bb};    // 127 bits after the point
constexpr Fixed128 log2_of_e = {0xbe87fed0691d3e89, 0xb8aa3b295c17f0bb};        // the same, rounded
constexpr Fixed128 log10_of_e = {0x355baaafad33dc32, 0xde5bd8a937287195};       // 129 bits after the point
constexpr Fixed128 third = {0xaaaaaaaaaaaaaaab, 0xaaaaaaaaaaaaaaaa};             // 129 bits after the point

}  // namespace mc2::oblivious::MC2_ISA
