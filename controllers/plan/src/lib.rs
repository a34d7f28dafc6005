//! Pure planners: what a controller should do, as data.
