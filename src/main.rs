//! The `cabled` binary: parse, run, turn the error into an exit status.

/// Gives memory back after a peak, as glibc does not: `.cargo/config.toml` has how it is set.
#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> std::process::ExitCode {
    cabled::cli::main()
}
