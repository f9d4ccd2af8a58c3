//! The program `iothub-emulator`; everything is in the library beside it.

fn main() -> anyhow::Result<()> {
    iothub_emulator::run_program()
}
