"""The software side: simulated guests. They see the machine only through `acpi` registers and its clock."""
