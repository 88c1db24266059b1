//! Completion-shaped network I/O over io_uring or epoll.
