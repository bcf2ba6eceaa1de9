SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;
SET default_tablespace = '';
SET default_table_access_method = heap;
CREATE TABLE public.sessions (
    id bigint NOT NULL,
    user_id bigint NOT NULL,
    password_hash character varying NOT NULL,
    scope character varying NOT NULL,
    generation integer NOT NULL,
    refreshed_at bigint NOT NULL
);
CREATE SEQUENCE public.sessions_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.sessions_id_seq OWNED BY public.sessions.id;
CREATE TABLE public.tasks (
    id bigint NOT NULL,
    user_id bigint NOT NULL,
    title character varying NOT NULL,
    done boolean NOT NULL,
    due date,
    version integer NOT NULL,
    idempotency_key character varying,
    idempotency_digest character varying
);
CREATE SEQUENCE public.tasks_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.tasks_id_seq OWNED BY public.tasks.id;
CREATE TABLE public.users (
    id bigint NOT NULL,
    email character varying NOT NULL,
    password_hash character varying NOT NULL
);
CREATE SEQUENCE public.users_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.users_id_seq OWNED BY public.users.id;
ALTER TABLE ONLY public.sessions ALTER COLUMN id SET DEFAULT nextval('public.sessions_id_seq'::regclass);
ALTER TABLE ONLY public.tasks ALTER COLUMN id SET DEFAULT nextval('public.tasks_id_seq'::regclass);
ALTER TABLE ONLY public.users ALTER COLUMN id SET DEFAULT nextval('public.users_id_seq'::regclass);
INSERT INTO public.sessions VALUES (1, 1, '$2b$04$gJuhM6HbmSEdjoEetW.czOcXz14dsejQdhCkcHJxCc1qYugJ0ItZi', 'tasks:read tasks:write account', 0, 1795604968);
INSERT INTO public.sessions VALUES (2, 1, '$2b$04$gJuhM6HbmSEdjoEetW.czOcXz14dsejQdhCkcHJxCc1qYugJ0ItZi', 'tasks:read account', 1, 1795604969);
INSERT INTO public.sessions VALUES (4, 2, '$2b$04$hsvzdxlm3qBI0R08eYL8duyv5kKiZs4cBW2Cjm1CvmcXg8oY86ZSC', 'tasks:read tasks:write account', 0, 1795604969);
INSERT INTO public.sessions VALUES (5, 2, '$2b$04$YUiJSVzTBKkJxUDPfvhUg.I3IQ7niRHmEZh29scnv11QFLDZD/2qy', 'tasks:read tasks:write account', 0, 1795604969);
INSERT INTO public.tasks VALUES (1, 1, 'Straße kehren', false, '2026-11-30', 1, NULL, '8ac8c1bd07ff10e1261f9a7bdfb2189d');
INSERT INTO public.tasks VALUES (3, 2, 'Bob''s', false, NULL, 1, NULL, '6d115ae3578eea5f3dfa4a810f31db01');
INSERT INTO public.tasks VALUES (2, 1, 'ΠΑΣΧΑ é %_\ 🎉', false, NULL, 4, NULL, '7b1ba98b897ee10c374b3b6755b8c11a');
INSERT INTO public.tasks VALUES (4, 1, 'Check the backup', true, '2026-12-01', 2, 'backup-2026-11', 'fdd8a342ebd39d39287344a5fd9913f1');
INSERT INTO public.users VALUES (1, 'ada@example.com', '$2b$04$gJuhM6HbmSEdjoEetW.czOcXz14dsejQdhCkcHJxCc1qYugJ0ItZi');
INSERT INTO public.users VALUES (4, 'dora@example.com', '$2b$04$3V3eEqbTFvhpkpb9pZO.cOLnm6kXmJMZE9j6rnSxpiqTG/X/yv.Eq');
INSERT INTO public.users VALUES (2, 'bob@example.com', '$2b$04$YUiJSVzTBKkJxUDPfvhUg.I3IQ7niRHmEZh29scnv11QFLDZD/2qy');
SELECT pg_catalog.setval('public.sessions_id_seq', 6, true);
SELECT pg_catalog.setval('public.tasks_id_seq', 7, true);
SELECT pg_catalog.setval('public.users_id_seq', 4, true);
ALTER TABLE ONLY public.sessions
    ADD CONSTRAINT sessions_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.tasks
    ADD CONSTRAINT tasks_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.users
    ADD CONSTRAINT users_email_key UNIQUE (email);
ALTER TABLE ONLY public.users
    ADD CONSTRAINT users_pkey PRIMARY KEY (id);
CREATE INDEX ix_sessions_refreshed_at ON public.sessions USING btree (refreshed_at);
CREATE INDEX ix_sessions_user_id ON public.sessions USING btree (user_id);
CREATE INDEX ix_tasks_done_due ON public.tasks USING btree (user_id, done, COALESCE(due, '9999-12-31'::date), id);
CREATE INDEX ix_tasks_done_id ON public.tasks USING btree (user_id, done, id);
CREATE INDEX ix_tasks_due ON public.tasks USING btree (user_id, COALESCE(due, '9999-12-31'::date), id);
CREATE INDEX ix_tasks_id ON public.tasks USING btree (user_id, id);
CREATE UNIQUE INDEX ix_tasks_idempotency_key ON public.tasks USING btree (user_id, idempotency_key);
ALTER TABLE ONLY public.sessions
    ADD CONSTRAINT sessions_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.tasks
    ADD CONSTRAINT tasks_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;
