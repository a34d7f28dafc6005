//! The race against kube-controller-manager on a real API server.
