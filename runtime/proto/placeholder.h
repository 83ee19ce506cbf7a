/* placeholder.h: {"_placeholder":true,"num":N}, which stands for the Nth attachment in the JSON
 * text of a packet. Pure functions.
 */
#pragma once

#include "base/str.h"

/* Whether each object of the text with "_placeholder":true has an integer "num" below
 * `attachments`. The text must be valid JSON (clr_json_is_valid()). */
bool clr_placeholders_are_valid(clr_str_t json, uint32_t attachments);
