// The part of libcurl that Prony uses, as its ABI has it: no header of it is needed to build, and no library to start.
// Numbers are those of curl/curl.h and curl/multi.h, which libcurl promises never to change (libcurl ABI policy,
// so-name 4 since 2006). Only curl.cpp includes this. Plain data.
#pragma once

namespace prony::curl {

using Handle = void;  // CURL, CURLM, struct curl_slist

inline constexpr int objects = 10000, functions = 20000;  // what an option takes beside a long
inline constexpr int postfieldsize = 60, followlocation = 52, ssl_verifypeer = 64, httpget = 80, ssl_verifyhost = 81,
                     nosignal = 99, httpauth = 107, connect_only = 141, timeout_ms = 155, connecttimeout_ms = 156,
                     quick_exit = 322;
inline constexpr int writedata = objects + 1, url = objects + 2, proxy = objects + 4, errorbuffer = objects + 10,
                     httpheader = objects + 23, headerdata = objects + 29, customrequest = objects + 36,
                     cainfo = objects + 65, copypostfields = objects + 165, username = objects + 173,
                     password = objects + 174;
inline constexpr int writefunction = functions + 11, headerfunction = functions + 79;
inline constexpr long basic_or_digest = 3;
inline constexpr int response_code = 0x200000 + 2, activesocket = 0x500000 + 44;
inline constexpr long global_all = 3;
inline constexpr unsigned error_size = 256;

// CURLcode
inline constexpr int ok = 0, bad_url = 3, no_host = 6, no_connection = 7, broken_off = 18, refused_by_us = 23,
                     timed_out = 28, tls_failed = 35, no_answer = 52, receive_failed = 56, bad_certificate = 60,
                     bad_ca_file = 77, again = 81;

struct Message {  // CURLMsg
  int what;
  Handle* easy;
  union {
    void* whatever;
    int result;
  } data;
};

}  // namespace prony::curl
