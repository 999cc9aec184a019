//! Want of something on this host.

use std::io;

/// This failed since something is wanting here (descriptors, memory, buffers, processes): it says nothing of what was to be reached.
pub fn is_lack(e: &io::Error) -> bool {
    const WANTS: [i32; 6] = [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM, libc::ENOSPC, libc::EAGAIN];
    e.raw_os_error().is_some_and(|n| WANTS.contains(&n))
}
