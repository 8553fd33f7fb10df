page.toggles("show");
