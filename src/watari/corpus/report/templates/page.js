page.toggles("measure");
