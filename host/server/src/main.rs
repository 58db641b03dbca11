//! The `fenix` binary: everything is in the library.

fn main() -> std::process::ExitCode {
    fenix_server::cli::main()
}
