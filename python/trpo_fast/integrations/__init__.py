"""What ties the package to other libraries; a module a library, none imported unless asked for."""
