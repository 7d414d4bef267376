// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// What the exit status of tunnel says to scripts. tunnel(1) has the same list.

#pragma once

enum exit_code {
	EXIT_CODE_OK = 0,           // done, or the tunnel was ended as asked
	EXIT_CODE_OTHER = 1,        // anything not below
	EXIT_CODE_USAGE = 2,        // the command line, the environment or the configuration file
	EXIT_CODE_REFUSED = 3,      // the server refused: token, members, policy
	EXIT_CODE_NO_TUNNEL = 4,    // there is no such tunnel, or none any more
	EXIT_CODE_UNREACHABLE = 5,  // no way to the server, or it is not one
	EXIT_CODE_NOT_ATTESTED = 6, // the evidence does not pass
	EXIT_CODE_NO_BACKEND = 7,   // the local backend is down (--require-backend)
	EXIT_CODE_QUOTA = 8,        // a quota, rate or budget is used up
	EXIT_CODE_REVOKED = 9,      // somebody ended the tunnel
	EXIT_CODE_EXPIRED = 10,     // its time is over
};
