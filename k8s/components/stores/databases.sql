-- Runs once, when PostgreSQL makes its first files. Each owner has a database of its own and no rights on the other.
\getenv feast_password SEGUE_REGISTRY_PASSWORD
\getenv mlflow_password MLFLOW_DATABASE_PASSWORD
CREATE ROLE feast LOGIN PASSWORD :'feast_password';
CREATE ROLE mlflow LOGIN PASSWORD :'mlflow_password';
CREATE DATABASE feast OWNER feast;
CREATE DATABASE mlflow OWNER mlflow;
REVOKE CONNECT ON DATABASE feast, mlflow FROM PUBLIC;
