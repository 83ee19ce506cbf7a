/* version.h: the version of clrun and of the link protocol between gateway and worker. */
#pragma once

#define CLR_VERSION "0.1.0"

/* Grows with every change of a frame's meaning; gateway and worker must agree. */
#define CLR_LINK_VERSION 3
