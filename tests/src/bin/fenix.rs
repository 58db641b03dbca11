//! The `fenix` binary under a name of this package's own.

fn main() -> std::process::ExitCode {
    fenix_server::cli::main()
}
