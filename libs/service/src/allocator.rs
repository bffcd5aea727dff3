//! The memory allocator of every program that serves: a call makes hundreds of small pieces, and the platform's own spends a fifth of the time on them.

/// Stands for all programs that are linked with this library, the tests among them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
