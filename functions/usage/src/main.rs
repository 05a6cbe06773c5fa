//! The handler binary of the `usage` group, started by the Functions host.

fn main() -> std::process::ExitCode {
    coder_startup::handler::main(coder_usage::route_group())
}
