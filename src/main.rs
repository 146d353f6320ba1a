//! The `cabled` binary: parse, run, turn the error into an exit status.

fn main() -> std::process::ExitCode {
    cabled::cli::main()
}
