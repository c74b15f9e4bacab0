//! Users, groups and members, made and deleted through the API.
