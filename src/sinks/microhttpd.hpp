// The part of GNU libmicrohttpd that Prony uses, as its ABI has it: no header of it is needed to build, and no library
// to start. Numbers are those of microhttpd.h, which its so-name 12 (since 0.9.46, 2015) keeps; tests hold them against
// the header where that is installed. Only http_door.cpp calls it. Plain data.
#pragma once

#include <cstddef>
#include <cstdint>

namespace prony::microhttpd {

struct Daemon;
struct Connection;
struct Response;

// MHD_FLAG
inline constexpr unsigned use_tls = 2, use_internal_polling_thread = 8, use_auto = 65536,
                          allow_suspend_resume = 8192 | 1024;
// MHD_OPTION
inline constexpr int option_end = 0, option_memory_limit = 1, option_connection_limit = 2, option_timeout = 3,
                     option_notify_completed = 4, option_per_ip_limit = 5, option_https_key = 8,
                     option_https_certificate = 9, option_https_priorities = 11, option_listen_socket = 12,
                     option_notify_connection = 27;
inline constexpr int no = 0, yes = 1;                        // MHD_Result
inline constexpr int kind_header = 1;                        // MHD_ValueKind
inline constexpr int respmem_must_copy = 2;                  // MHD_ResponseMemoryMode
inline constexpr int feature_tls = 2;                        // MHD_FEATURE
inline constexpr int notify_started = 0, notify_closed = 1;  // MHD_ConnectionNotificationCode
inline constexpr int info_connection_fd = 6;                 // MHD_ConnectionInfoType

using AcceptPolicy = int (*)(void*, const void* address, unsigned length);
using AccessHandler = int (*)(void* object, Connection*, const char* url, const char* method, const char* version,
                              const char* upload, std::size_t* upload_size, void** request);
using NotifyConnection = void (*)(void* object, Connection*, void** context, int code);
using NotifyCompleted = void (*)(void* object, Connection*, void** request, int code);

using StartDaemon = Daemon* (*)(unsigned flags, std::uint16_t port, AcceptPolicy, void*, AccessHandler, void*, ...);
using StopDaemon = void (*)(Daemon*);
using LookUp = const char* (*)(Connection*, int kind, const char* key);
using CreateResponse = Response* (*)(std::size_t size, void* buffer, int mode);
using AddHeader = int (*)(Response*, const char* name, const char* content);
using QueueResponse = int (*)(Connection*, unsigned status, Response*);
using DestroyResponse = void (*)(Response*);
using ConnectionInfo = const int* (*)(Connection*, int info, ...);  // of info_connection_fd: the descriptor
using SuspendConnection = void (*)(Connection*);
using ResumeConnection = void (*)(Connection*);
using HasFeature = int (*)(int feature);

}  // namespace prony::microhttpd
