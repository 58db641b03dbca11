//! Serves a disk to the test that started it.

fn main() -> std::io::Result<()> {
    fenix_tests::disk::serve_orders()
}
