//! The handler binary of the `secrets` group, started by the Functions host.

fn main() -> std::process::ExitCode {
    coder_startup::handler::main(coder_secrets::route_group())
}
