/* sha1.h: SHA-1, for the WebSocket handshake only (RFC 6455 asks for it; it protects nothing). */
#pragma once

#include "base/str.h"

#define CLR_SHA1_SIZE 20

/* Of the two texts, one after the other. */
void clr_sha1(clr_str_t a, clr_str_t b, uint8_t out[CLR_SHA1_SIZE]);
