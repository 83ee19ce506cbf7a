#include "link/message.h"
