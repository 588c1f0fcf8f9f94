//! How the C library's allocator gives memory back.
#![expect(unsafe_code, reason = "mallopt sets parameters of the allocator, once, before there are threads")]

/// Blocks up to this size come from the heap, not from mappings of their own: the largest that glibc allows.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const FROM_HEAP: libc::c_int = 32 << 20;

/// Free memory at the end of a heap that is kept.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const KEPT: libc::c_int = 256 << 20;

/// Keeps freed memory for what is allocated next. Protocols allocate vectors of the same sizes again and again; by default
/// glibc returns the larger ones to the kernel each time, which then clears and maps every page anew.
pub fn keep_memory() {
    // SAFETY: mallopt is sound with any values; it refuses, without effect, what it does not know.
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, FROM_HEAP);
        libc::mallopt(libc::M_TRIM_THRESHOLD, KEPT);
    }
}
