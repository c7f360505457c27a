"""What each kind of fact does to the tables; ``fold`` finds the right one."""
