//! The handler binary of the `logging` group, started by the Functions host.

fn main() -> std::process::ExitCode {
    coder_startup::handler::main(coder_logging::route_group())
}
