//! What stays true whatever dies: crashes, frozen processes, lost acks, servers that go away.

mod storage;
