-- The table that is pushed to, beside what it must hold in the end. Run after customers.mariadb.sql.
rename table customers to wanted;
create table customers like wanted;
