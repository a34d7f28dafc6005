//! The custom resource kinds of Ironkeel: types, CEL rules, defaults, printer columns.
