//! Kills a controller at every one of its writes to a real API server, and checks what it left behind.
