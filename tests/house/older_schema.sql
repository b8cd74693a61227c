SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
CREATE EXTENSION IF NOT EXISTS btree_gist WITH SCHEMA public;
CREATE EXTENSION IF NOT EXISTS pg_trgm WITH SCHEMA public;
CREATE FUNCTION public.change_stays() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
  if tg_op = 'UPDATE' and current_setting('frontdesk.redacts', true) = 'on'
     and to_jsonb(new) - 'before' - 'after' = to_jsonb(old) - 'before' - 'after'
     and only_masked(old.before, new.before) and only_masked(old.after, new.after) then
    return new;
  end if;
  raise exception 'History is written once: % on % is refused.', tg_op, tg_table_name using errcode = 'restrict_violation';
end $$;
CREATE FUNCTION public.history_is_final() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
  raise exception 'History is written once: % on % is refused.', tg_op, tg_table_name using errcode = 'restrict_violation';
end $$;
CREATE FUNCTION public.line_moves_balance() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
  update account set balance = balance + case when kind in ('asset', 'expense') then new.money_amount else -new.money_amount end
    where id = new.account_id and guarded;
  return null;
end $$;
CREATE FUNCTION public.lines_add_up() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
declare wrong text;
begin
  if tg_table_name = 'posting' and not exists (select from line where posting_id = new.id) then
    raise exception 'Posting % has no lines.', new.id using errcode = 'check_violation';
  end if;
  select money_currency into wrong from line where posting_id = (case tg_table_name when 'posting' then new.id else (to_jsonb(new)->>'posting_id')::int end)
    group by money_currency having sum(money_amount) <> 0 limit 1;
  if found then
    raise exception 'A posting does not add up in %.', wrong using errcode = 'check_violation', constraint = 'posting_adds_up';
  end if;
  return null;
end $$;
CREATE FUNCTION public.masked(document jsonb, columns text[]) RETURNS jsonb
    LANGUAGE sql IMMUTABLE
    AS $$
  select coalesce(jsonb_object_agg(key, case when key = any(columns) and value <> 'null'::jsonb then '"•••"'::jsonb else value end), '{}'::jsonb)
  from jsonb_each(document)
$$;
CREATE FUNCTION public.only_masked(was jsonb, is_now jsonb) RETURNS boolean
    LANGUAGE sql IMMUTABLE
    AS $$
  select not exists (
    select from jsonb_each(was) o full join jsonb_each(is_now) n using (key)
    where o.value is distinct from n.value and (o.value is null or n.value is distinct from '"•••"'::jsonb)
  )
$$;
CREATE FUNCTION public.redact_history(about text, rows integer[], columns text[], who text, through text) RETURNS void
    LANGUAGE plpgsql
    AS $$
declare touched int[];
begin
  perform set_config('frontdesk.redacts', 'on', true);
  with blanked as (
    update change set before = masked(before, columns), after = masked(after, columns)
    where noun = about and row_id = any(rows) and (before ?| columns or after ?| columns) returning row_id
  )
  select array_agg(distinct row_id) into touched from blanked;
  perform set_config('frontdesk.redacts', 'off', true);
  insert into change (noun, row_id, verb, before, after, why, name, door, created_at, changed_at, version)
  select about, each, 'redact', '{}'::jsonb, '{}'::jsonb, 'Blanked in the lines before this one: ' || array_to_string(columns, ', ') || '.', who, through, now(), now(), 1
  from unnest(touched) each;
end $$;
SET default_tablespace = '';
SET default_table_access_method = heap;
CREATE TABLE public.ab_api_key (
    id integer NOT NULL,
    uuid character varying(36) NOT NULL,
    name character varying(256) NOT NULL,
    key_hash character varying(256) NOT NULL,
    lookup_hash character varying(256),
    key_prefix character varying(16) NOT NULL,
    user_id integer NOT NULL,
    scopes text,
    active boolean NOT NULL,
    created_on timestamp without time zone,
    expires_on timestamp without time zone,
    revoked_on timestamp without time zone,
    last_used_on timestamp without time zone
);
CREATE SEQUENCE public.ab_api_key_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.ab_api_key_id_seq OWNED BY public.ab_api_key.id;
CREATE TABLE public.ab_group (
    id integer NOT NULL,
    name character varying(100) NOT NULL,
    label character varying(150),
    description character varying(512)
);
CREATE SEQUENCE public.ab_group_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.ab_group_id_seq OWNED BY public.ab_group.id;
CREATE TABLE public.ab_group_role (
    id integer NOT NULL,
    group_id integer,
    role_id integer
);
CREATE SEQUENCE public.ab_group_role_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.ab_group_role_id_seq OWNED BY public.ab_group_role.id;
CREATE TABLE public.ab_permission (
    id integer NOT NULL,
    name character varying(100) NOT NULL
);
CREATE SEQUENCE public.ab_permission_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.ab_permission_id_seq OWNED BY public.ab_permission.id;
CREATE TABLE public.ab_permission_view (
    id integer NOT NULL,
    permission_id integer NOT NULL,
    view_menu_id integer NOT NULL
);
CREATE SEQUENCE public.ab_permission_view_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.ab_permission_view_id_seq OWNED BY public.ab_permission_view.id;
CREATE TABLE public.ab_permission_view_role (
    id integer NOT NULL,
    permission_view_id integer,
    role_id integer
);
CREATE SEQUENCE public.ab_permission_view_role_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.ab_permission_view_role_id_seq OWNED BY public.ab_permission_view_role.id;
CREATE TABLE public.ab_register_user (
    id integer NOT NULL,
    first_name character varying(64) NOT NULL,
    last_name character varying(64) NOT NULL,
    username character varying(128) NOT NULL,
    password character varying(256),
    email character varying(320) NOT NULL,
    registration_date timestamp without time zone,
    registration_hash character varying(256)
);
CREATE SEQUENCE public.ab_register_user_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.ab_register_user_id_seq OWNED BY public.ab_register_user.id;
CREATE TABLE public.ab_role (
    id integer NOT NULL,
    name character varying(64) NOT NULL
);
CREATE SEQUENCE public.ab_role_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.ab_role_id_seq OWNED BY public.ab_role.id;
CREATE TABLE public.ab_user (
    id integer NOT NULL,
    first_name character varying(64) NOT NULL,
    last_name character varying(64) NOT NULL,
    username character varying(128) NOT NULL,
    password character varying(256),
    active boolean,
    email character varying(320) NOT NULL,
    last_login timestamp without time zone,
    login_count integer,
    fail_login_count integer,
    created_on timestamp without time zone,
    changed_on timestamp without time zone,
    created_by_fk integer,
    changed_by_fk integer
);
CREATE TABLE public.ab_user_group (
    id integer NOT NULL,
    user_id integer,
    group_id integer
);
CREATE SEQUENCE public.ab_user_group_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.ab_user_group_id_seq OWNED BY public.ab_user_group.id;
CREATE SEQUENCE public.ab_user_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.ab_user_id_seq OWNED BY public.ab_user.id;
CREATE TABLE public.ab_user_role (
    id integer NOT NULL,
    user_id integer,
    role_id integer
);
CREATE SEQUENCE public.ab_user_role_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.ab_user_role_id_seq OWNED BY public.ab_user_role.id;
CREATE TABLE public.ab_view_menu (
    id integer NOT NULL,
    name character varying(250) NOT NULL
);
CREATE SEQUENCE public.ab_view_menu_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.ab_view_menu_id_seq OWNED BY public.ab_view_menu.id;
CREATE TABLE public.account (
    name text NOT NULL,
    kind text NOT NULL,
    owner text NOT NULL,
    currency text NOT NULL,
    guarded boolean NOT NULL,
    balance bigint NOT NULL,
    held bigint NOT NULL,
    id integer NOT NULL,
    created_at timestamp with time zone NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    version integer NOT NULL,
    more jsonb,
    CONSTRAINT account_covered CHECK (((NOT guarded) OR ((held >= 0) AND (balance >= held))))
);
CREATE SEQUENCE public.account_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.account_id_seq OWNED BY public.account.id;
CREATE TABLE public.alembic_version (
    version_num character varying(32) NOT NULL
);
CREATE TABLE public.automation (
    name text NOT NULL,
    sentence text NOT NULL,
    noun text NOT NULL,
    verb text NOT NULL,
    asked text NOT NULL,
    steps jsonb NOT NULL,
    maker_id integer,
    made_by text NOT NULL,
    state character varying(20),
    id integer NOT NULL,
    created_at timestamp with time zone NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    version integer NOT NULL,
    more jsonb,
    CONSTRAINT automation_state_known CHECK (((state)::text = ANY ((ARRAY['draft'::character varying, 'on'::character varying, 'off'::character varying])::text[])))
);
CREATE SEQUENCE public.automation_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.automation_id_seq OWNED BY public.automation.id;
CREATE TABLE public.basket (
    number text NOT NULL,
    person_id integer NOT NULL,
    price_amount bigint NOT NULL,
    price_currency character varying(3) NOT NULL,
    handle character varying(22) NOT NULL,
    gateway text NOT NULL,
    order_id text,
    orders integer NOT NULL,
    look_at timestamp with time zone,
    looked integer NOT NULL,
    id integer NOT NULL,
    created_at timestamp with time zone NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    version integer NOT NULL,
    more jsonb
);
CREATE SEQUENCE public.basket_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.basket_id_seq OWNED BY public.basket.id;
CREATE TABLE public.batch (
    resource text NOT NULL,
    path text NOT NULL,
    user_id integer NOT NULL,
    rows jsonb NOT NULL,
    undone_at timestamp with time zone,
    id integer NOT NULL,
    created_at timestamp with time zone NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    version integer NOT NULL,
    more jsonb
);
CREATE SEQUENCE public.batch_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.batch_id_seq OWNED BY public.batch.id;
CREATE TABLE public.bill (
    number text NOT NULL,
    person_id integer NOT NULL,
    noun text NOT NULL,
    row_id integer NOT NULL,
    price_amount bigint NOT NULL,
    price_currency character varying(3) NOT NULL,
    gateway text NOT NULL,
    order_id text,
    look_at timestamp with time zone,
    looked integer NOT NULL,
    state character varying(20),
    id integer NOT NULL,
    created_at timestamp with time zone NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    version integer NOT NULL,
    handle character varying(22) NOT NULL,
    part text NOT NULL,
    lines jsonb NOT NULL,
    "left" jsonb NOT NULL,
    buyer jsonb NOT NULL,
    due_at timestamp with time zone,
    orders integer NOT NULL,
    delivered_at timestamp with time zone,
    earned_amount bigint NOT NULL,
    earned_currency character varying(3) NOT NULL,
    more jsonb,
    CONSTRAINT bill_state_known CHECK (((state)::text = ANY ((ARRAY['open'::character varying, 'paid'::character varying, 'void'::character varying, 'unpaid'::character varying])::text[])))
);
CREATE SEQUENCE public.bill_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.bill_id_seq OWNED BY public.bill.id;
CREATE TABLE public.booking (
    number text NOT NULL,
    slot_id integer NOT NULL,
    seat integer NOT NULL,
    person_id integer NOT NULL,
    timezone text NOT NULL,
    price_amount bigint NOT NULL,
    price_currency character varying(3) NOT NULL,
    answers jsonb NOT NULL,
    hold_expires_at timestamp with time zone NOT NULL,
    paid_with text NOT NULL,
    request_key text,
    request_hash text,
    state character varying(20),
    id integer NOT NULL,
    created_at timestamp with time zone NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    version integer NOT NULL,
    handle character varying(22) NOT NULL,
    quote_id integer,
    deposit_amount bigint NOT NULL,
    deposit_currency character varying(3) NOT NULL,
    policy text NOT NULL,
    buyer jsonb NOT NULL,
    edition integer NOT NULL,
    form_edition_id integer,
    sealed_answers bytea,
    came_at timestamp with time zone,
    more jsonb,
    CONSTRAINT booking_state_known CHECK (((state)::text = ANY ((ARRAY['held'::character varying, 'requested'::character varying, 'confirmed'::character varying, 'completed'::character varying, 'no_show'::character varying, 'cancelled'::character varying, 'expired'::character varying])::text[])))
);
CREATE SEQUENCE public.booking_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.booking_id_seq OWNED BY public.booking.id;
CREATE TABLE public.business (
    name text NOT NULL,
    email text NOT NULL,
    phone text NOT NULL,
    address text NOT NULL,
    tax_number text NOT NULL,
    region text NOT NULL,
    upi text NOT NULL,
    logo_id integer,
    id integer NOT NULL,
    created_at timestamp with time zone NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    version integer NOT NULL,
    more jsonb,
    hours text NOT NULL,
    timezone text NOT NULL,
    currency text NOT NULL,
    CONSTRAINT business_one CHECK ((id = 1))
);
CREATE SEQUENCE public.business_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.business_id_seq OWNED BY public.business.id;
CREATE TABLE public.busy (
    calendar_id integer NOT NULL,
    uid text NOT NULL,
    during tstzrange NOT NULL,
    id integer NOT NULL,
    created_at timestamp with time zone NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    version integer NOT NULL,
    more jsonb
);
CREATE TABLE public.busy_calendar (
    practitioner_id integer NOT NULL,
    name text NOT NULL,
    kind text NOT NULL,
    address bytea,
    edition integer NOT NULL,
    tag text NOT NULL,
    checked_at timestamp with time zone,
    refreshed_at timestamp with time zone,
    trouble text NOT NULL,
    state character varying(20),
    id integer NOT NULL,
    created_at timestamp with time zone NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    version integer NOT NULL,
    more jsonb,
    CONSTRAINT busy_calendar_state_known CHECK (((state)::text = ANY ((ARRAY['new'::character varying, 'read'::character varying, 'stopped'::character varying])::text[])))
);
CREATE SEQUENCE public.busy_calendar_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.busy_calendar_id_seq OWNED BY public.busy_calendar.id;
CREATE SEQUENCE public.busy_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.busy_id_seq OWNED BY public.busy.id;
CREATE TABLE public.call (
    hook_id integer NOT NULL,
    event text NOT NULL,
    event_id text NOT NULL,
    noun text NOT NULL,
    row_id integer NOT NULL,
    body text NOT NULL,
    since timestamp with time zone NOT NULL,
    due_at timestamp with time zone NOT NULL,
    attempts integer NOT NULL,
    status integer,
    answer text NOT NULL,
    took integer,
    trouble text NOT NULL,
    state character varying(20),
    id integer NOT NULL,
    created_at timestamp with time zone NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    version integer NOT NULL,
    more jsonb,
    CONSTRAINT call_state_known CHECK (((state)::text = ANY ((ARRAY['waiting'::character varying, 'delivered'::character varying, 'failed'::character varying])::text[])))
);
CREATE SEQUENCE public.call_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.call_id_seq OWNED BY public.call.id;
CREATE TABLE public.change (
    noun text NOT NULL,
    row_id integer NOT NULL,
    verb text NOT NULL,
    before jsonb NOT NULL,
    after jsonb NOT NULL,
    why text NOT NULL,
    user_id integer,
    name text NOT NULL,
    door text NOT NULL,
    id integer NOT NULL,
    created_at timestamp with time zone NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    version integer NOT NULL
);
CREATE SEQUENCE public.change_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.change_id_seq OWNED BY public.change.id;
CREATE TABLE public.closure (
    practitioner_id integer,
    starts_at timestamp with time zone NOT NULL,
    ends_at timestamp with time zone NOT NULL,
    reason text NOT NULL,
    id integer NOT NULL,
    created_at timestamp with time zone NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    version integer NOT NULL,
    more jsonb,
    CONSTRAINT closure_order CHECK ((ends_at > starts_at))
);
CREATE SEQUENCE public.closure_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.closure_id_seq OWNED BY public.closure.id;
CREATE TABLE public.code (
    handle character varying(22) NOT NULL,
    mailbox text NOT NULL,
    person_id integer,
    expires_at timestamp with time zone NOT NULL,
    tries integer NOT NULL,
    used_at timestamp with time zone,
    state character varying(20),
    id integer NOT NULL,
    created_at timestamp with time zone NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    version integer NOT NULL,
    more jsonb,
    CONSTRAINT code_state_known CHECK (((state)::text = ANY ((ARRAY['open'::character varying, 'used'::character varying, 'over'::character varying])::text[])))
);
CREATE SEQUENCE public.code_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.code_id_seq OWNED BY public.code.id;
CREATE TABLE public.coupon (
    code text NOT NULL,
    percent integer NOT NULL,
    amount_amount bigint,
    amount_currency character varying(3),
    since timestamp with time zone,
    until timestamp with time zone,
    uses_at_most integer,
    uses_each integer,
    minimum_amount bigint,
    minimum_currency character varying(3),
    off_at_most_amount bigint,
    off_at_most_currency character varying(3),
    used integer NOT NULL,
    note text NOT NULL,
    state character varying(20),
    id integer NOT NULL,
    created_at timestamp with time zone NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    version integer NOT NULL,
    more jsonb,
    CONSTRAINT coupon_one_kind CHECK (((percent > 0) <> (COALESCE(amount_amount, (0)::bigint) > 0))),
    CONSTRAINT coupon_percent CHECK (((percent >= 0) AND (percent <= 100))),
    CONSTRAINT coupon_sense CHECK (((uses_at_most > 0) AND (uses_each > 0) AND (minimum_amount >= 0) AND (off_at_most_amount > 0) AND (amount_amount > 0))),
    CONSTRAINT coupon_state_known CHECK (((state)::text = ANY ((ARRAY['active'::character varying, 'ended'::character varying])::text[]))),
    CONSTRAINT coupon_used_up CHECK (((used >= 0) AND ((uses_at_most IS NULL) OR (used <= uses_at_most)))),
    CONSTRAINT coupon_window CHECK ((until > since))
);
CREATE SEQUENCE public.coupon_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.coupon_id_seq OWNED BY public.coupon.id;
CREATE TABLE public.coupon_use (
    coupon_id integer NOT NULL,
    state character varying(20),
    mailbox text NOT NULL,
    noun text NOT NULL,
    row_id integer NOT NULL,
    id integer NOT NULL,
    created_at timestamp with time zone NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    version integer NOT NULL,
    more jsonb,
    CONSTRAINT coupon_use_state_known CHECK (((state)::text = ANY ((ARRAY['taken'::character varying, 'given_back'::character varying])::text[])))
);
CREATE SEQUENCE public.coupon_use_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.coupon_use_id_seq OWNED BY public.coupon_use.id;
CREATE TABLE public.dispute (
    payment_id integer NOT NULL,
    gateway text NOT NULL,
    gateway_id text NOT NULL,
    money_amount bigint NOT NULL,
    money_currency character varying(3) NOT NULL,
    kept_back_amount bigint NOT NULL,
    kept_back_currency character varying(3) NOT NULL,
    reason text NOT NULL,
    respond_by timestamp with time zone,
    look_at timestamp with time zone,
    state character varying(20),
    id integer NOT NULL,
    created_at timestamp with time zone NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    version integer NOT NULL,
    more jsonb,
    CONSTRAINT dispute_state_known CHECK (((state)::text = ANY ((ARRAY['open'::character varying, 'under_review'::character varying, 'won'::character varying, 'lost'::character varying, 'closed'::character varying])::text[])))
);
CREATE SEQUENCE public.dispute_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.dispute_id_seq OWNED BY public.dispute.id;
CREATE TABLE public.edition (
    form_id integer NOT NULL,
    number integer NOT NULL,
    questions jsonb NOT NULL,
    published_at timestamp with time zone NOT NULL,
    id integer NOT NULL,
    created_at timestamp with time zone NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    version integer NOT NULL
);
CREATE SEQUENCE public.edition_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.edition_id_seq OWNED BY public.edition.id;
CREATE TABLE public.event (
    gateway text NOT NULL,
    event_id text NOT NULL,
    kind text NOT NULL,
    order_id text,
    body text NOT NULL,
    trouble text NOT NULL,
    state character varying(20),
    id integer NOT NULL,
    created_at timestamp with time zone NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    version integer NOT NULL,
    payment_id text,
    dispute_id text,
    more jsonb,
    CONSTRAINT event_state_known CHECK (((state)::text = ANY ((ARRAY['waiting'::character varying, 'handled'::character varying, 'parked'::character varying])::text[])))
);
CREATE SEQUENCE public.event_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.event_id_seq OWNED BY public.event.id;
CREATE TABLE public.extra (
    service_id integer NOT NULL,
    name text NOT NULL,
    price_amount bigint NOT NULL,
    price_currency character varying(3) NOT NULL,
    state character varying(20),
    id integer NOT NULL,
    created_at timestamp with time zone NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    version integer NOT NULL,
    more jsonb,
    CONSTRAINT extra_price CHECK ((price_amount >= 0)),
    CONSTRAINT extra_state_known CHECK (((state)::text = ANY ((ARRAY['offered'::character varying, 'retired'::character varying])::text[])))
);
CREATE SEQUENCE public.extra_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.extra_id_seq OWNED BY public.extra.id;
CREATE TABLE public.field (
    noun text NOT NULL,
    label character varying(60) NOT NULL,
    key character varying(60) NOT NULL,
    kind text NOT NULL,
    options text NOT NULL,
    help character varying(200) NOT NULL,
    required boolean NOT NULL,
    listed boolean NOT NULL,
    place integer NOT NULL,
    state character varying(20),
    id integer NOT NULL,
    created_at timestamp with time zone NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    version integer NOT NULL,
    more jsonb,
    target text NOT NULL,
    found boolean NOT NULL,
    CONSTRAINT field_state_known CHECK (((state)::text = ANY ((ARRAY['used'::character varying, 'put_away'::character varying])::text[])))
);
CREATE SEQUENCE public.field_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.field_id_seq OWNED BY public.field.id;
CREATE TABLE public.finding (
    noun text NOT NULL,
    row_id integer NOT NULL,
    letters text NOT NULL,
    words tsvector NOT NULL,
    id integer NOT NULL,
    created_at timestamp with time zone NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    version integer NOT NULL,
    more jsonb
);
CREATE SEQUENCE public.finding_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.finding_id_seq OWNED BY public.finding.id;
CREATE TABLE public.form (
    name text NOT NULL,
    draft jsonb NOT NULL,
    state character varying(20),
    id integer NOT NULL,
    created_at timestamp with time zone NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    version integer NOT NULL,
    more jsonb,
    CONSTRAINT form_state_known CHECK (((state)::text = ANY ((ARRAY['in_use'::character varying, 'retired'::character varying])::text[])))
);
CREATE SEQUENCE public.form_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.form_id_seq OWNED BY public.form.id;
CREATE TABLE public.giver (
    service_id integer NOT NULL,
    practitioner_id integer NOT NULL,
    weight integer NOT NULL,
    id integer NOT NULL,
    created_at timestamp with time zone NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    version integer NOT NULL,
    more jsonb,
    CONSTRAINT giver_weight CHECK (((weight >= 1) AND (weight <= 100)))
);
CREATE SEQUENCE public.giver_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.giver_id_seq OWNED BY public.giver.id;
CREATE TABLE public.hold (
    account_id integer NOT NULL,
    money_amount bigint NOT NULL,
    money_currency character varying(3) NOT NULL,
    key text NOT NULL,
    state character varying(20),
    id integer NOT NULL,
    created_at timestamp with time zone NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    version integer NOT NULL,
    more jsonb,
    CONSTRAINT hold_something CHECK ((money_amount > 0)),
    CONSTRAINT hold_state_known CHECK (((state)::text = ANY ((ARRAY['held'::character varying, 'released'::character varying, 'taken'::character varying])::text[])))
);
CREATE SEQUENCE public.hold_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.hold_id_seq OWNED BY public.hold.id;
CREATE TABLE public.hook (
    name text NOT NULL,
    address text NOT NULL,
    events text NOT NULL,
    edition integer NOT NULL,
    seen_at timestamp with time zone,
    failing_since timestamp with time zone,
    rests_until timestamp with time zone,
    trouble text NOT NULL,
    state character varying(20),
    id integer NOT NULL,
    created_at timestamp with time zone NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    version integer NOT NULL,
    handle character varying(22) NOT NULL,
    more jsonb,
    CONSTRAINT hook_state_known CHECK (((state)::text = ANY ((ARRAY['on'::character varying, 'off'::character varying])::text[])))
);
CREATE SEQUENCE public.hook_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.hook_id_seq OWNED BY public.hook.id;
CREATE TABLE public.hours (
    practitioner_id integer NOT NULL,
    service_id integer,
    weekday text NOT NULL,
    opens time without time zone NOT NULL,
    closes time without time zone NOT NULL,
    first_day date,
    last_day date,
    note text NOT NULL,
    id integer NOT NULL,
    created_at timestamp with time zone NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    version integer NOT NULL,
    more jsonb,
    CONSTRAINT hours_days CHECK ((last_day >= first_day)),
    CONSTRAINT hours_order CHECK (((closes > opens) OR (closes = '00:00:00'::time without time zone)))
);
CREATE SEQUENCE public.hours_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.hours_id_seq OWNED BY public.hours.id;
CREATE TABLE public.in_basket (
    basket_id integer NOT NULL,
    bill_id integer NOT NULL,
    id integer NOT NULL,
    created_at timestamp with time zone NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    version integer NOT NULL,
    more jsonb
);
CREATE SEQUENCE public.in_basket_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.in_basket_id_seq OWNED BY public.in_basket.id;
CREATE TABLE public.intake (
    resource text NOT NULL,
    user_id integer NOT NULL,
    maker text NOT NULL,
    name character varying(100) NOT NULL,
    once text NOT NULL,
    sheet bytea,
    columns jsonb NOT NULL,
    rows integer NOT NULL,
    at integer NOT NULL,
    good integer NOT NULL,
    bad integer NOT NULL,
    done_at timestamp with time zone,
    state character varying(20),
    id integer NOT NULL,
    created_at timestamp with time zone NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    version integer NOT NULL,
    more jsonb,
    CONSTRAINT intake_state_known CHECK (((state)::text = ANY ((ARRAY['waiting'::character varying, 'trying'::character varying, 'tried'::character varying, 'running'::character varying, 'done'::character varying, 'undoing'::character varying, 'undone'::character varying])::text[])))
);
CREATE SEQUENCE public.intake_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.intake_id_seq OWNED BY public.intake.id;
CREATE TABLE public.intake_line (
    intake_id integer NOT NULL,
    line integer NOT NULL,
    row_id integer,
    row_version integer,
    wrong jsonb NOT NULL,
    undone text,
    id integer NOT NULL,
    created_at timestamp with time zone NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    version integer NOT NULL,
    more jsonb
);
CREATE SEQUENCE public.intake_line_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.intake_line_id_seq OWNED BY public.intake_line.id;
CREATE TABLE public.invoice (
    number text NOT NULL,
    kind text NOT NULL,
    day date NOT NULL,
    person_id integer NOT NULL,
    bill_id integer NOT NULL,
    payment_id integer NOT NULL,
    refund_id integer,
    credits_id integer,
    seller jsonb NOT NULL,
    buyer jsonb NOT NULL,
    place text NOT NULL,
    lines jsonb NOT NULL,
    total_amount bigint NOT NULL,
    total_currency character varying(3) NOT NULL,
    tax_amount bigint NOT NULL,
    tax_currency character varying(3) NOT NULL,
    about text NOT NULL,
    why text NOT NULL,
    id integer NOT NULL,
    created_at timestamp with time zone NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    version integer NOT NULL,
    handle character varying(22) NOT NULL
);
CREATE SEQUENCE public.invoice_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.invoice_id_seq OWNED BY public.invoice.id;
CREATE TABLE public.job (
    name text NOT NULL,
    noun text,
    row_id integer,
    due_at timestamp with time zone NOT NULL,
    key text,
    attempts integer NOT NULL,
    lease text,
    leased_until timestamp with time zone,
    error text NOT NULL,
    state character varying(20),
    finished_at timestamp with time zone,
    id integer NOT NULL,
    created_at timestamp with time zone NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    version integer NOT NULL,
    chain integer NOT NULL,
    more jsonb,
    CONSTRAINT job_state_known CHECK (((state)::text = ANY ((ARRAY['waiting'::character varying, 'running'::character varying, 'done'::character varying, 'failed'::character varying])::text[])))
);
CREATE SEQUENCE public.job_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.job_id_seq OWNED BY public.job.id;
CREATE TABLE public.line (
    posting_id integer NOT NULL,
    account_id integer NOT NULL,
    money_amount bigint NOT NULL,
    money_currency character varying(3) NOT NULL,
    id integer NOT NULL,
    created_at timestamp with time zone NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    version integer NOT NULL,
    CONSTRAINT line_something CHECK ((money_amount <> 0))
);
CREATE SEQUENCE public.line_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.line_id_seq OWNED BY public.line.id;
CREATE TABLE public.meeting (
    booking_id integer NOT NULL,
    practitioner_id integer NOT NULL,
    key text NOT NULL,
    driver text NOT NULL,
    external_id text NOT NULL,
    join_url text NOT NULL,
    host_url text NOT NULL,
    recording_requested boolean NOT NULL,
    edition integer NOT NULL,
    tries integer NOT NULL,
    trouble text NOT NULL,
    state character varying(20),
    id integer NOT NULL,
    created_at timestamp with time zone NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    version integer NOT NULL,
    more jsonb,
    CONSTRAINT meeting_state_known CHECK (((state)::text = ANY ((ARRAY['requested'::character varying, 'ready'::character varying, 'cancelled'::character varying, 'failed'::character varying])::text[])))
);
CREATE SEQUENCE public.meeting_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.meeting_id_seq OWNED BY public.meeting.id;
CREATE TABLE public.message (
    person_id integer NOT NULL,
    template text NOT NULL,
    called text NOT NULL,
    noun text NOT NULL,
    row_id integer NOT NULL,
    key text,
    due_at timestamp with time zone NOT NULL,
    sent_at timestamp with time zone,
    subject text NOT NULL,
    body text NOT NULL,
    state character varying(20),
    id integer NOT NULL,
    created_at timestamp with time zone NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    version integer NOT NULL,
    channel text NOT NULL,
    kind text NOT NULL,
    edition integer NOT NULL,
    tries integer NOT NULL,
    trouble text NOT NULL,
    delivered_at timestamp with time zone,
    read_at timestamp with time zone,
    provider_id text,
    wording_id integer,
    more jsonb,
    CONSTRAINT message_state_known CHECK (((state)::text = ANY ((ARRAY['waiting'::character varying, 'handed'::character varying, 'sent'::character varying, 'delivered'::character varying, 'read'::character varying, 'failed'::character varying, 'dropped'::character varying])::text[])))
);
CREATE SEQUENCE public.message_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.message_id_seq OWNED BY public.message.id;
CREATE TABLE public.notice (
    user_id integer NOT NULL,
    kind text NOT NULL,
    noun text,
    row_id integer,
    words text NOT NULL,
    read_at timestamp with time zone,
    topic text,
    ids jsonb NOT NULL,
    id integer NOT NULL,
    created_at timestamp with time zone NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    version integer NOT NULL,
    more jsonb
);
CREATE SEQUENCE public.notice_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.notice_id_seq OWNED BY public.notice.id;
CREATE TABLE public.opens (
    resource text NOT NULL,
    user_id integer NOT NULL,
    view_id integer NOT NULL,
    id integer NOT NULL,
    more jsonb,
    created_at timestamp with time zone NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    version integer NOT NULL
);
CREATE SEQUENCE public.opens_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.opens_id_seq OWNED BY public.opens.id;
CREATE TABLE public.opt_in (
    person_id integer NOT NULL,
    channel text NOT NULL,
    how text NOT NULL,
    given_at timestamp with time zone NOT NULL,
    taken_back_at timestamp with time zone,
    state character varying(20),
    id integer NOT NULL,
    created_at timestamp with time zone NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    version integer NOT NULL,
    more jsonb,
    CONSTRAINT opt_in_state_known CHECK (((state)::text = ANY ((ARRAY['given'::character varying, 'taken_back'::character varying])::text[])))
);
CREATE SEQUENCE public.opt_in_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.opt_in_id_seq OWNED BY public.opt_in.id;
CREATE TABLE public.other_hours (
    practitioner_id integer NOT NULL,
    day date NOT NULL,
    how text NOT NULL,
    opens time without time zone,
    closes time without time zone,
    note text NOT NULL,
    id integer NOT NULL,
    created_at timestamp with time zone NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    version integer NOT NULL,
    more jsonb,
    CONSTRAINT other_hours_order CHECK (((closes > opens) OR (closes = '00:00:00'::time without time zone))),
    CONSTRAINT other_hours_times CHECK ((((how = 'closed'::text) = (opens IS NULL)) AND ((opens IS NULL) = (closes IS NULL))))
);
CREATE SEQUENCE public.other_hours_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.other_hours_id_seq OWNED BY public.other_hours.id;
CREATE TABLE public.package (
    name text NOT NULL,
    service_id integer NOT NULL,
    uses integer NOT NULL,
    price_amount bigint NOT NULL,
    price_currency character varying(3) NOT NULL,
    valid_days integer NOT NULL,
    state character varying(20),
    id integer NOT NULL,
    created_at timestamp with time zone NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    version integer NOT NULL,
    more jsonb,
    CONSTRAINT package_price CHECK ((price_amount >= 100)),
    CONSTRAINT package_state_known CHECK (((state)::text = ANY ((ARRAY['offered'::character varying, 'retired'::character varying])::text[]))),
    CONSTRAINT package_uses CHECK (((uses >= 2) AND (uses <= 100))),
    CONSTRAINT package_valid CHECK (((valid_days >= 1) AND (valid_days <= 1825)))
);
CREATE SEQUENCE public.package_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.package_id_seq OWNED BY public.package.id;
CREATE TABLE public.pass (
    number text NOT NULL,
    code text NOT NULL,
    person_id integer NOT NULL,
    package_id integer NOT NULL,
    uses integer NOT NULL,
    uses_left integer NOT NULL,
    price_amount bigint NOT NULL,
    price_currency character varying(3) NOT NULL,
    valid_days integer NOT NULL,
    quote_id integer NOT NULL,
    expires_at timestamp with time zone,
    paid_with text NOT NULL,
    request_key text,
    handle character varying(22) NOT NULL,
    state character varying(20),
    id integer NOT NULL,
    created_at timestamp with time zone NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    version integer NOT NULL,
    more jsonb,
    CONSTRAINT pass_left CHECK (((uses_left >= 0) AND (uses_left <= uses))),
    CONSTRAINT pass_state_known CHECK (((state)::text = ANY ((ARRAY['open'::character varying, 'active'::character varying, 'used_up'::character varying, 'expired'::character varying, 'cancelled'::character varying])::text[])))
);
CREATE SEQUENCE public.pass_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.pass_id_seq OWNED BY public.pass.id;
CREATE TABLE public.pass_use (
    pass_id integer NOT NULL,
    booking_id integer NOT NULL,
    state character varying(20),
    id integer NOT NULL,
    created_at timestamp with time zone NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    version integer NOT NULL,
    more jsonb,
    CONSTRAINT pass_use_state_known CHECK (((state)::text = ANY ((ARRAY['taken'::character varying, 'given_back'::character varying, 'spent'::character varying])::text[])))
);
CREATE SEQUENCE public.pass_use_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.pass_use_id_seq OWNED BY public.pass_use.id;
CREATE TABLE public.passkey (
    user_id integer NOT NULL,
    name character varying(60) NOT NULL,
    credential bytea NOT NULL,
    public_key bytea NOT NULL,
    handle bytea NOT NULL,
    sign_count bigint NOT NULL,
    transports jsonb NOT NULL,
    used_at timestamp with time zone,
    id integer NOT NULL,
    created_at timestamp with time zone NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    version integer NOT NULL,
    more jsonb
);
CREATE SEQUENCE public.passkey_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.passkey_id_seq OWNED BY public.passkey.id;
CREATE TABLE public.payment (
    bill_id integer NOT NULL,
    gateway text NOT NULL,
    gateway_id text NOT NULL,
    money_amount bigint NOT NULL,
    money_currency character varying(3) NOT NULL,
    method text NOT NULL,
    error text NOT NULL,
    captured_at timestamp with time zone,
    owed_back text NOT NULL,
    state character varying(20),
    id integer NOT NULL,
    created_at timestamp with time zone NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    version integer NOT NULL,
    back_amount bigint NOT NULL,
    back_currency character varying(3) NOT NULL,
    taken_at timestamp with time zone,
    cleared_at timestamp with time zone,
    pays boolean NOT NULL,
    taken_by integer,
    basket_id integer,
    more jsonb,
    CONSTRAINT payment_back CHECK (((back_amount >= 0) AND (back_amount <= money_amount))),
    CONSTRAINT payment_one_currency CHECK (((back_currency)::text = (money_currency)::text)),
    CONSTRAINT payment_one_end CHECK (((NOT pays) OR (owed_back = ''::text))),
    CONSTRAINT payment_state_known CHECK (((state)::text = ANY ((ARRAY['created'::character varying, 'failed'::character varying, 'authorized'::character varying, 'captured'::character varying, 'partly_refunded'::character varying, 'refunded'::character varying, 'bounced'::character varying])::text[])))
);
CREATE SEQUENCE public.payment_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.payment_id_seq OWNED BY public.payment.id;
CREATE TABLE public.person (
    name text NOT NULL,
    email text NOT NULL,
    phone text NOT NULL,
    timezone text NOT NULL,
    locale text NOT NULL,
    notes text NOT NULL,
    id integer NOT NULL,
    created_at timestamp with time zone NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    version integer NOT NULL,
    state character varying(20),
    more jsonb,
    CONSTRAINT person_state_known CHECK (((state)::text = ANY ((ARRAY['known'::character varying, 'forgotten'::character varying])::text[])))
);
CREATE SEQUENCE public.person_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.person_id_seq OWNED BY public.person.id;
CREATE TABLE public.picture (
    name text NOT NULL,
    place text NOT NULL,
    sha256 text NOT NULL,
    width integer NOT NULL,
    height integer NOT NULL,
    id integer NOT NULL,
    created_at timestamp with time zone NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    version integer NOT NULL,
    more jsonb
);
CREATE SEQUENCE public.picture_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.picture_id_seq OWNED BY public.picture.id;
CREATE TABLE public.posting (
    key text NOT NULL,
    day date NOT NULL,
    what text NOT NULL,
    noun text NOT NULL,
    row_id integer,
    person_id integer,
    reverses_id integer,
    by text NOT NULL,
    id integer NOT NULL,
    created_at timestamp with time zone NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    version integer NOT NULL
);
CREATE SEQUENCE public.posting_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.posting_id_seq OWNED BY public.posting.id;
CREATE TABLE public.practitioner (
    name text NOT NULL,
    title text NOT NULL,
    about text NOT NULL,
    timezone text NOT NULL,
    user_id integer,
    photo_id integer,
    state character varying(20),
    id integer NOT NULL,
    created_at timestamp with time zone NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    version integer NOT NULL,
    holidays text NOT NULL,
    meets_by text NOT NULL,
    room text NOT NULL,
    link_says text NOT NULL,
    handle character varying(22) NOT NULL,
    more jsonb,
    CONSTRAINT practitioner_state_known CHECK (((state)::text = ANY ((ARRAY['active'::character varying, 'away'::character varying])::text[])))
);
CREATE SEQUENCE public.practitioner_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.practitioner_id_seq OWNED BY public.practitioner.id;
CREATE TABLE public.preference (
    user_id integer NOT NULL,
    kind text NOT NULL,
    way text NOT NULL,
    id integer NOT NULL,
    created_at timestamp with time zone NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    version integer NOT NULL,
    more jsonb
);
CREATE SEQUENCE public.preference_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.preference_id_seq OWNED BY public.preference.id;
CREATE TABLE public.presence (
    booking_id integer NOT NULL,
    practitioner_id integer NOT NULL,
    slot_id integer NOT NULL,
    during tstzrange NOT NULL,
    id integer NOT NULL,
    created_at timestamp with time zone NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    version integer NOT NULL,
    more jsonb
);
CREATE SEQUENCE public.presence_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.presence_id_seq OWNED BY public.presence.id;
CREATE TABLE public.put_away (
    noun text NOT NULL,
    row_id integer NOT NULL,
    user_id integer,
    name text NOT NULL,
    id integer NOT NULL,
    created_at timestamp with time zone NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    version integer NOT NULL,
    more jsonb
);
CREATE SEQUENCE public.put_away_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.put_away_id_seq OWNED BY public.put_away.id;
CREATE TABLE public.quote (
    about text NOT NULL,
    basis jsonb NOT NULL,
    lines jsonb NOT NULL,
    total_amount bigint NOT NULL,
    total_currency character varying(3) NOT NULL,
    coupon_id integer,
    holds_until timestamp with time zone NOT NULL,
    state character varying(20),
    id integer NOT NULL,
    created_at timestamp with time zone NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    version integer NOT NULL,
    handle character varying(22) NOT NULL,
    more jsonb,
    CONSTRAINT quote_state_known CHECK (((state)::text = ANY ((ARRAY['named'::character varying, 'taken'::character varying, 'lapsed'::character varying])::text[])))
);
CREATE SEQUENCE public.quote_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.quote_id_seq OWNED BY public.quote.id;
CREATE TABLE public.refund (
    number text NOT NULL,
    payment_id integer NOT NULL,
    money_amount bigint NOT NULL,
    money_currency character varying(3) NOT NULL,
    why text NOT NULL,
    gateway text NOT NULL,
    gateway_id text,
    reference text NOT NULL,
    tries integer NOT NULL,
    trouble text NOT NULL,
    asked_by integer,
    elsewhere boolean NOT NULL,
    look_at timestamp with time zone,
    looked integer NOT NULL,
    owed_at timestamp with time zone,
    done_at timestamp with time zone,
    state character varying(20),
    id integer NOT NULL,
    created_at timestamp with time zone NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    version integer NOT NULL,
    more jsonb,
    CONSTRAINT refund_something CHECK ((money_amount > 0)),
    CONSTRAINT refund_state_known CHECK (((state)::text = ANY ((ARRAY['owed'::character varying, 'to_approve'::character varying, 'sent'::character varying, 'done'::character varying, 'failed'::character varying, 'declined'::character varying])::text[])))
);
CREATE SEQUENCE public.refund_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.refund_id_seq OWNED BY public.refund.id;
CREATE TABLE public.refund_policy (
    name text NOT NULL,
    tiers text NOT NULL,
    state character varying(20),
    id integer NOT NULL,
    created_at timestamp with time zone NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    version integer NOT NULL,
    more jsonb,
    CONSTRAINT refund_policy_state_known CHECK (((state)::text = ANY ((ARRAY['in_use'::character varying, 'retired'::character varying])::text[])))
);
CREATE SEQUENCE public.refund_policy_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.refund_policy_id_seq OWNED BY public.refund_policy.id;
CREATE TABLE public.remark (
    noun text NOT NULL,
    row_id integer NOT NULL,
    user_id integer,
    name text NOT NULL,
    words text NOT NULL,
    edited_at timestamp with time zone,
    id integer NOT NULL,
    created_at timestamp with time zone NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    version integer NOT NULL,
    more jsonb
);
CREATE SEQUENCE public.remark_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.remark_id_seq OWNED BY public.remark.id;
CREATE TABLE public.run (
    automation_id integer NOT NULL,
    noun text NOT NULL,
    row_id integer NOT NULL,
    about text NOT NULL,
    verb text NOT NULL,
    change text NOT NULL,
    chain integer NOT NULL,
    did jsonb NOT NULL,
    trouble text NOT NULL,
    finished_at timestamp with time zone,
    state character varying(20),
    id integer NOT NULL,
    created_at timestamp with time zone NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    version integer NOT NULL,
    more jsonb,
    CONSTRAINT run_state_known CHECK (((state)::text = ANY ((ARRAY['waiting'::character varying, 'done'::character varying, 'failed'::character varying, 'stopped'::character varying])::text[])))
);
CREATE SEQUENCE public.run_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.run_id_seq OWNED BY public.run.id;
CREATE TABLE public.second (
    user_id integer NOT NULL,
    secret bytea,
    since timestamp with time zone,
    last integer NOT NULL,
    sheet jsonb NOT NULL,
    id integer NOT NULL,
    created_at timestamp with time zone NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    version integer NOT NULL,
    more jsonb
);
CREATE SEQUENCE public.second_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.second_id_seq OWNED BY public.second.id;
CREATE TABLE public.series (
    kind text NOT NULL,
    year integer NOT NULL,
    last integer NOT NULL,
    id integer NOT NULL,
    created_at timestamp with time zone NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    version integer NOT NULL,
    more jsonb
);
CREATE SEQUENCE public.series_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.series_id_seq OWNED BY public.series.id;
CREATE TABLE public.service (
    name text NOT NULL,
    slug text NOT NULL,
    description text NOT NULL,
    minutes integer NOT NULL,
    price_amount bigint NOT NULL,
    price_currency character varying(3) NOT NULL,
    seats integer NOT NULL,
    hold_minutes integer NOT NULL,
    notice_minutes integer NOT NULL,
    days_ahead integer NOT NULL,
    state character varying(20),
    id integer NOT NULL,
    created_at timestamp with time zone NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    version integer NOT NULL,
    tax_rate integer NOT NULL,
    tax_included boolean NOT NULL,
    tax_code text NOT NULL,
    deposit_percent integer NOT NULL,
    policy_id integer,
    before_minutes integer NOT NULL,
    after_minutes integer NOT NULL,
    step_minutes integer NOT NULL,
    day_cap integer NOT NULL,
    week_cap integer NOT NULL,
    together boolean NOT NULL,
    by_approval boolean NOT NULL,
    reminds_again boolean NOT NULL,
    change_hours integer,
    form_id integer,
    more jsonb,
    CONSTRAINT service_cap CHECK ((((day_cap >= 0) AND (day_cap <= 500)) AND ((week_cap >= 0) AND (week_cap <= 500)))),
    CONSTRAINT service_change CHECK (((change_hours >= 0) AND (change_hours <= 2000))),
    CONSTRAINT service_deposit CHECK (((deposit_percent >= 1) AND (deposit_percent <= 100))),
    CONSTRAINT service_hold CHECK (((hold_minutes >= 5) AND (hold_minutes <= 60))),
    CONSTRAINT service_minutes CHECK (((minutes >= 5) AND (minutes <= 480))),
    CONSTRAINT service_price CHECK ((price_amount >= 0)),
    CONSTRAINT service_quiet CHECK ((((before_minutes >= 0) AND (before_minutes <= 240)) AND ((after_minutes >= 0) AND (after_minutes <= 240)))),
    CONSTRAINT service_seats CHECK (((seats >= 1) AND (seats <= 500))),
    CONSTRAINT service_state_known CHECK (((state)::text = ANY ((ARRAY['offered'::character varying, 'retired'::character varying])::text[]))),
    CONSTRAINT service_step CHECK (((step_minutes >= 0) AND (step_minutes <= 480))),
    CONSTRAINT service_tax CHECK (((tax_rate >= 0) AND (tax_rate <= 10000)))
);
CREATE SEQUENCE public.service_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.service_id_seq OWNED BY public.service.id;
CREATE TABLE public.settlement (
    gateway text NOT NULL,
    kind text NOT NULL,
    entity_id text NOT NULL,
    dispute_id text NOT NULL,
    reference text NOT NULL,
    day date NOT NULL,
    settled_at timestamp with time zone,
    credit_amount bigint NOT NULL,
    credit_currency character varying(3) NOT NULL,
    debit_amount bigint NOT NULL,
    debit_currency character varying(3) NOT NULL,
    fee_amount bigint NOT NULL,
    fee_currency character varying(3) NOT NULL,
    tax_amount bigint NOT NULL,
    tax_currency character varying(3) NOT NULL,
    trouble text NOT NULL,
    state character varying(20),
    id integer NOT NULL,
    created_at timestamp with time zone NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    version integer NOT NULL,
    more jsonb,
    CONSTRAINT settlement_state_known CHECK (((state)::text = ANY ((ARRAY['matched'::character varying, 'differs'::character varying, 'explained'::character varying])::text[])))
);
CREATE SEQUENCE public.settlement_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.settlement_id_seq OWNED BY public.settlement.id;
CREATE TABLE public.sitting (
    user_id integer NOT NULL,
    digest text NOT NULL,
    address text NOT NULL,
    device text NOT NULL,
    is_program boolean NOT NULL,
    seen_at timestamp with time zone NOT NULL,
    good_until timestamp with time zone NOT NULL,
    ends_at timestamp with time zone NOT NULL,
    ended_at timestamp with time zone,
    id integer NOT NULL,
    created_at timestamp with time zone NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    version integer NOT NULL,
    how text NOT NULL,
    more jsonb
);
CREATE SEQUENCE public.sitting_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.sitting_id_seq OWNED BY public.sitting.id;
CREATE TABLE public.slot (
    practitioner_id integer NOT NULL,
    service_id integer NOT NULL,
    starts_at timestamp with time zone NOT NULL,
    ends_at timestamp with time zone NOT NULL,
    seats integer NOT NULL,
    state character varying(20),
    id integer NOT NULL,
    created_at timestamp with time zone NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    version integer NOT NULL,
    partner_id integer,
    kept tstzrange NOT NULL,
    made boolean NOT NULL,
    more jsonb,
    CONSTRAINT slot_order CHECK ((ends_at > starts_at)),
    CONSTRAINT slot_seats CHECK (((seats >= 1) AND (seats <= 500))),
    CONSTRAINT slot_state_known CHECK (((state)::text = ANY ((ARRAY['open'::character varying, 'closed'::character varying, 'withdrawn'::character varying])::text[])))
);
CREATE SEQUENCE public.slot_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.slot_id_seq OWNED BY public.slot.id;
CREATE TABLE public.spent (
    digest text NOT NULL,
    good_until timestamp with time zone NOT NULL,
    id integer NOT NULL,
    created_at timestamp with time zone NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    version integer NOT NULL,
    more jsonb
);
CREATE SEQUENCE public.spent_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.spent_id_seq OWNED BY public.spent.id;
CREATE TABLE public.subscription (
    title character varying(100) NOT NULL,
    report text NOT NULL,
    asked jsonb NOT NULL,
    period text NOT NULL,
    format text NOT NULL,
    rhythm text NOT NULL,
    weekday text NOT NULL,
    day integer NOT NULL,
    at time without time zone NOT NULL,
    who_id integer NOT NULL,
    asked_by text NOT NULL,
    next_at timestamp with time zone NOT NULL,
    of_day date,
    sent_at timestamp with time zone,
    trouble text NOT NULL,
    state character varying(20),
    id integer NOT NULL,
    created_at timestamp with time zone NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    version integer NOT NULL,
    more jsonb,
    CONSTRAINT subscription_state_known CHECK (((state)::text = ANY ((ARRAY['on'::character varying, 'paused'::character varying, 'removed'::character varying])::text[])))
);
CREATE SEQUENCE public.subscription_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.subscription_id_seq OWNED BY public.subscription.id;
CREATE TABLE public.switch (
    name text NOT NULL,
    state character varying(20),
    id integer NOT NULL,
    created_at timestamp with time zone NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    version integer NOT NULL,
    more jsonb,
    CONSTRAINT switch_state_known CHECK (((state)::text = ANY ((ARRAY['on'::character varying, 'off'::character varying])::text[])))
);
CREATE SEQUENCE public.switch_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.switch_id_seq OWNED BY public.switch.id;
CREATE TABLE public.tally (
    gateway text NOT NULL,
    day date NOT NULL,
    there_amount bigint NOT NULL,
    there_currency character varying(3) NOT NULL,
    here_amount bigint NOT NULL,
    here_currency character varying(3) NOT NULL,
    difference_amount bigint NOT NULL,
    difference_currency character varying(3) NOT NULL,
    rows jsonb NOT NULL,
    counted_at timestamp with time zone NOT NULL,
    state character varying(20),
    id integer NOT NULL,
    created_at timestamp with time zone NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    version integer NOT NULL,
    more jsonb,
    CONSTRAINT tally_state_known CHECK (((state)::text = ANY ((ARRAY['counted'::character varying, 'agrees'::character varying, 'differs'::character varying])::text[])))
);
CREATE SEQUENCE public.tally_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.tally_id_seq OWNED BY public.tally.id;
CREATE TABLE public.task (
    noun text NOT NULL,
    row_id integer NOT NULL,
    about text NOT NULL,
    title text NOT NULL,
    who_id integer,
    asked_by text NOT NULL,
    due_on date,
    reminded_on date,
    state character varying(20),
    id integer NOT NULL,
    created_at timestamp with time zone NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    version integer NOT NULL,
    more jsonb,
    CONSTRAINT task_state_known CHECK (((state)::text = ANY ((ARRAY['open'::character varying, 'done'::character varying])::text[])))
);
CREATE SEQUENCE public.task_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.task_id_seq OWNED BY public.task.id;
CREATE TABLE public.tick (
    name text NOT NULL,
    next_at timestamp with time zone NOT NULL,
    id integer NOT NULL,
    created_at timestamp with time zone NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    version integer NOT NULL,
    more jsonb
);
CREATE SEQUENCE public.tick_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.tick_id_seq OWNED BY public.tick.id;
CREATE TABLE public.token (
    user_id integer NOT NULL,
    name character varying(60) NOT NULL,
    begins character varying(8) NOT NULL,
    digest text NOT NULL,
    scopes jsonb NOT NULL,
    good_until timestamp with time zone NOT NULL,
    used_at timestamp with time zone,
    ended_at timestamp with time zone,
    id integer NOT NULL,
    created_at timestamp with time zone NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    version integer NOT NULL,
    more jsonb
);
CREATE SEQUENCE public.token_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.token_id_seq OWNED BY public.token.id;
CREATE TABLE public.upload (
    form_id integer NOT NULL,
    question text NOT NULL,
    noun text,
    row_id integer,
    name bytea,
    kind text NOT NULL,
    length integer NOT NULL,
    place text NOT NULL,
    is_sealed boolean NOT NULL,
    mark text,
    expires_at timestamp with time zone NOT NULL,
    handle character varying(22) NOT NULL,
    state character varying(20),
    id integer NOT NULL,
    created_at timestamp with time zone NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    version integer NOT NULL,
    more jsonb,
    CONSTRAINT upload_state_known CHECK (((state)::text = ANY ((ARRAY['waiting'::character varying, 'kept'::character varying, 'gone'::character varying])::text[])))
);
CREATE SEQUENCE public.upload_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.upload_id_seq OWNED BY public.upload.id;
CREATE TABLE public.view (
    resource text NOT NULL,
    name character varying(60) NOT NULL,
    user_id integer NOT NULL,
    maker text NOT NULL,
    shared boolean NOT NULL,
    first boolean NOT NULL,
    asked jsonb NOT NULL,
    id integer NOT NULL,
    created_at timestamp with time zone NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    version integer NOT NULL,
    more jsonb
);
CREATE SEQUENCE public.view_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.view_id_seq OWNED BY public.view.id;
CREATE TABLE public.waiting (
    service_id integer NOT NULL,
    practitioner_id integer,
    person_id integer NOT NULL,
    timezone text NOT NULL,
    first_day date NOT NULL,
    last_day date NOT NULL,
    booking_id integer,
    state character varying(20),
    handle character varying(22) NOT NULL,
    id integer NOT NULL,
    created_at timestamp with time zone NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    version integer NOT NULL,
    more jsonb,
    CONSTRAINT waiting_days CHECK ((last_day >= first_day)),
    CONSTRAINT waiting_state_known CHECK (((state)::text = ANY ((ARRAY['waiting'::character varying, 'offered'::character varying, 'taken'::character varying, 'passed'::character varying, 'left'::character varying])::text[])))
);
CREATE SEQUENCE public.waiting_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.waiting_id_seq OWNED BY public.waiting.id;
CREATE TABLE public.wording (
    template text NOT NULL,
    locale text NOT NULL,
    channel text NOT NULL,
    edition integer NOT NULL,
    subject text NOT NULL,
    body text NOT NULL,
    state character varying(20),
    id integer NOT NULL,
    created_at timestamp with time zone NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    version integer NOT NULL,
    more jsonb,
    CONSTRAINT wording_state_known CHECK (((state)::text = ANY ((ARRAY['draft'::character varying, 'used'::character varying, 'retired'::character varying])::text[])))
);
CREATE SEQUENCE public.wording_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.wording_id_seq OWNED BY public.wording.id;
ALTER TABLE ONLY public.ab_api_key ALTER COLUMN id SET DEFAULT nextval('public.ab_api_key_id_seq'::regclass);
ALTER TABLE ONLY public.ab_group ALTER COLUMN id SET DEFAULT nextval('public.ab_group_id_seq'::regclass);
ALTER TABLE ONLY public.ab_group_role ALTER COLUMN id SET DEFAULT nextval('public.ab_group_role_id_seq'::regclass);
ALTER TABLE ONLY public.ab_permission ALTER COLUMN id SET DEFAULT nextval('public.ab_permission_id_seq'::regclass);
ALTER TABLE ONLY public.ab_permission_view ALTER COLUMN id SET DEFAULT nextval('public.ab_permission_view_id_seq'::regclass);
ALTER TABLE ONLY public.ab_permission_view_role ALTER COLUMN id SET DEFAULT nextval('public.ab_permission_view_role_id_seq'::regclass);
ALTER TABLE ONLY public.ab_register_user ALTER COLUMN id SET DEFAULT nextval('public.ab_register_user_id_seq'::regclass);
ALTER TABLE ONLY public.ab_role ALTER COLUMN id SET DEFAULT nextval('public.ab_role_id_seq'::regclass);
ALTER TABLE ONLY public.ab_user ALTER COLUMN id SET DEFAULT nextval('public.ab_user_id_seq'::regclass);
ALTER TABLE ONLY public.ab_user_group ALTER COLUMN id SET DEFAULT nextval('public.ab_user_group_id_seq'::regclass);
ALTER TABLE ONLY public.ab_user_role ALTER COLUMN id SET DEFAULT nextval('public.ab_user_role_id_seq'::regclass);
ALTER TABLE ONLY public.ab_view_menu ALTER COLUMN id SET DEFAULT nextval('public.ab_view_menu_id_seq'::regclass);
ALTER TABLE ONLY public.account ALTER COLUMN id SET DEFAULT nextval('public.account_id_seq'::regclass);
ALTER TABLE ONLY public.automation ALTER COLUMN id SET DEFAULT nextval('public.automation_id_seq'::regclass);
ALTER TABLE ONLY public.basket ALTER COLUMN id SET DEFAULT nextval('public.basket_id_seq'::regclass);
ALTER TABLE ONLY public.batch ALTER COLUMN id SET DEFAULT nextval('public.batch_id_seq'::regclass);
ALTER TABLE ONLY public.bill ALTER COLUMN id SET DEFAULT nextval('public.bill_id_seq'::regclass);
ALTER TABLE ONLY public.booking ALTER COLUMN id SET DEFAULT nextval('public.booking_id_seq'::regclass);
ALTER TABLE ONLY public.business ALTER COLUMN id SET DEFAULT nextval('public.business_id_seq'::regclass);
ALTER TABLE ONLY public.busy ALTER COLUMN id SET DEFAULT nextval('public.busy_id_seq'::regclass);
ALTER TABLE ONLY public.busy_calendar ALTER COLUMN id SET DEFAULT nextval('public.busy_calendar_id_seq'::regclass);
ALTER TABLE ONLY public.call ALTER COLUMN id SET DEFAULT nextval('public.call_id_seq'::regclass);
ALTER TABLE ONLY public.change ALTER COLUMN id SET DEFAULT nextval('public.change_id_seq'::regclass);
ALTER TABLE ONLY public.closure ALTER COLUMN id SET DEFAULT nextval('public.closure_id_seq'::regclass);
ALTER TABLE ONLY public.code ALTER COLUMN id SET DEFAULT nextval('public.code_id_seq'::regclass);
ALTER TABLE ONLY public.coupon ALTER COLUMN id SET DEFAULT nextval('public.coupon_id_seq'::regclass);
ALTER TABLE ONLY public.coupon_use ALTER COLUMN id SET DEFAULT nextval('public.coupon_use_id_seq'::regclass);
ALTER TABLE ONLY public.dispute ALTER COLUMN id SET DEFAULT nextval('public.dispute_id_seq'::regclass);
ALTER TABLE ONLY public.edition ALTER COLUMN id SET DEFAULT nextval('public.edition_id_seq'::regclass);
ALTER TABLE ONLY public.event ALTER COLUMN id SET DEFAULT nextval('public.event_id_seq'::regclass);
ALTER TABLE ONLY public.extra ALTER COLUMN id SET DEFAULT nextval('public.extra_id_seq'::regclass);
ALTER TABLE ONLY public.field ALTER COLUMN id SET DEFAULT nextval('public.field_id_seq'::regclass);
ALTER TABLE ONLY public.finding ALTER COLUMN id SET DEFAULT nextval('public.finding_id_seq'::regclass);
ALTER TABLE ONLY public.form ALTER COLUMN id SET DEFAULT nextval('public.form_id_seq'::regclass);
ALTER TABLE ONLY public.giver ALTER COLUMN id SET DEFAULT nextval('public.giver_id_seq'::regclass);
ALTER TABLE ONLY public.hold ALTER COLUMN id SET DEFAULT nextval('public.hold_id_seq'::regclass);
ALTER TABLE ONLY public.hook ALTER COLUMN id SET DEFAULT nextval('public.hook_id_seq'::regclass);
ALTER TABLE ONLY public.hours ALTER COLUMN id SET DEFAULT nextval('public.hours_id_seq'::regclass);
ALTER TABLE ONLY public.in_basket ALTER COLUMN id SET DEFAULT nextval('public.in_basket_id_seq'::regclass);
ALTER TABLE ONLY public.intake ALTER COLUMN id SET DEFAULT nextval('public.intake_id_seq'::regclass);
ALTER TABLE ONLY public.intake_line ALTER COLUMN id SET DEFAULT nextval('public.intake_line_id_seq'::regclass);
ALTER TABLE ONLY public.invoice ALTER COLUMN id SET DEFAULT nextval('public.invoice_id_seq'::regclass);
ALTER TABLE ONLY public.job ALTER COLUMN id SET DEFAULT nextval('public.job_id_seq'::regclass);
ALTER TABLE ONLY public.line ALTER COLUMN id SET DEFAULT nextval('public.line_id_seq'::regclass);
ALTER TABLE ONLY public.meeting ALTER COLUMN id SET DEFAULT nextval('public.meeting_id_seq'::regclass);
ALTER TABLE ONLY public.message ALTER COLUMN id SET DEFAULT nextval('public.message_id_seq'::regclass);
ALTER TABLE ONLY public.notice ALTER COLUMN id SET DEFAULT nextval('public.notice_id_seq'::regclass);
ALTER TABLE ONLY public.opens ALTER COLUMN id SET DEFAULT nextval('public.opens_id_seq'::regclass);
ALTER TABLE ONLY public.opt_in ALTER COLUMN id SET DEFAULT nextval('public.opt_in_id_seq'::regclass);
ALTER TABLE ONLY public.other_hours ALTER COLUMN id SET DEFAULT nextval('public.other_hours_id_seq'::regclass);
ALTER TABLE ONLY public.package ALTER COLUMN id SET DEFAULT nextval('public.package_id_seq'::regclass);
ALTER TABLE ONLY public.pass ALTER COLUMN id SET DEFAULT nextval('public.pass_id_seq'::regclass);
ALTER TABLE ONLY public.pass_use ALTER COLUMN id SET DEFAULT nextval('public.pass_use_id_seq'::regclass);
ALTER TABLE ONLY public.passkey ALTER COLUMN id SET DEFAULT nextval('public.passkey_id_seq'::regclass);
ALTER TABLE ONLY public.payment ALTER COLUMN id SET DEFAULT nextval('public.payment_id_seq'::regclass);
ALTER TABLE ONLY public.person ALTER COLUMN id SET DEFAULT nextval('public.person_id_seq'::regclass);
ALTER TABLE ONLY public.picture ALTER COLUMN id SET DEFAULT nextval('public.picture_id_seq'::regclass);
ALTER TABLE ONLY public.posting ALTER COLUMN id SET DEFAULT nextval('public.posting_id_seq'::regclass);
ALTER TABLE ONLY public.practitioner ALTER COLUMN id SET DEFAULT nextval('public.practitioner_id_seq'::regclass);
ALTER TABLE ONLY public.preference ALTER COLUMN id SET DEFAULT nextval('public.preference_id_seq'::regclass);
ALTER TABLE ONLY public.presence ALTER COLUMN id SET DEFAULT nextval('public.presence_id_seq'::regclass);
ALTER TABLE ONLY public.put_away ALTER COLUMN id SET DEFAULT nextval('public.put_away_id_seq'::regclass);
ALTER TABLE ONLY public.quote ALTER COLUMN id SET DEFAULT nextval('public.quote_id_seq'::regclass);
ALTER TABLE ONLY public.refund ALTER COLUMN id SET DEFAULT nextval('public.refund_id_seq'::regclass);
ALTER TABLE ONLY public.refund_policy ALTER COLUMN id SET DEFAULT nextval('public.refund_policy_id_seq'::regclass);
ALTER TABLE ONLY public.remark ALTER COLUMN id SET DEFAULT nextval('public.remark_id_seq'::regclass);
ALTER TABLE ONLY public.run ALTER COLUMN id SET DEFAULT nextval('public.run_id_seq'::regclass);
ALTER TABLE ONLY public.second ALTER COLUMN id SET DEFAULT nextval('public.second_id_seq'::regclass);
ALTER TABLE ONLY public.series ALTER COLUMN id SET DEFAULT nextval('public.series_id_seq'::regclass);
ALTER TABLE ONLY public.service ALTER COLUMN id SET DEFAULT nextval('public.service_id_seq'::regclass);
ALTER TABLE ONLY public.settlement ALTER COLUMN id SET DEFAULT nextval('public.settlement_id_seq'::regclass);
ALTER TABLE ONLY public.sitting ALTER COLUMN id SET DEFAULT nextval('public.sitting_id_seq'::regclass);
ALTER TABLE ONLY public.slot ALTER COLUMN id SET DEFAULT nextval('public.slot_id_seq'::regclass);
ALTER TABLE ONLY public.spent ALTER COLUMN id SET DEFAULT nextval('public.spent_id_seq'::regclass);
ALTER TABLE ONLY public.subscription ALTER COLUMN id SET DEFAULT nextval('public.subscription_id_seq'::regclass);
ALTER TABLE ONLY public.switch ALTER COLUMN id SET DEFAULT nextval('public.switch_id_seq'::regclass);
ALTER TABLE ONLY public.tally ALTER COLUMN id SET DEFAULT nextval('public.tally_id_seq'::regclass);
ALTER TABLE ONLY public.task ALTER COLUMN id SET DEFAULT nextval('public.task_id_seq'::regclass);
ALTER TABLE ONLY public.tick ALTER COLUMN id SET DEFAULT nextval('public.tick_id_seq'::regclass);
ALTER TABLE ONLY public.token ALTER COLUMN id SET DEFAULT nextval('public.token_id_seq'::regclass);
ALTER TABLE ONLY public.upload ALTER COLUMN id SET DEFAULT nextval('public.upload_id_seq'::regclass);
ALTER TABLE ONLY public.view ALTER COLUMN id SET DEFAULT nextval('public.view_id_seq'::regclass);
ALTER TABLE ONLY public.waiting ALTER COLUMN id SET DEFAULT nextval('public.waiting_id_seq'::regclass);
ALTER TABLE ONLY public.wording ALTER COLUMN id SET DEFAULT nextval('public.wording_id_seq'::regclass);
ALTER TABLE ONLY public.ab_api_key
    ADD CONSTRAINT ab_api_key_lookup_hash_key UNIQUE (lookup_hash);
ALTER TABLE ONLY public.ab_api_key
    ADD CONSTRAINT ab_api_key_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.ab_api_key
    ADD CONSTRAINT ab_api_key_uuid_key UNIQUE (uuid);
ALTER TABLE ONLY public.ab_group
    ADD CONSTRAINT ab_group_name_key UNIQUE (name);
ALTER TABLE ONLY public.ab_group
    ADD CONSTRAINT ab_group_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.ab_group_role
    ADD CONSTRAINT ab_group_role_group_id_role_id_key UNIQUE (group_id, role_id);
ALTER TABLE ONLY public.ab_group_role
    ADD CONSTRAINT ab_group_role_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.ab_permission
    ADD CONSTRAINT ab_permission_name_key UNIQUE (name);
ALTER TABLE ONLY public.ab_permission
    ADD CONSTRAINT ab_permission_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.ab_permission_view
    ADD CONSTRAINT ab_permission_view_permission_id_view_menu_id_key UNIQUE (permission_id, view_menu_id);
ALTER TABLE ONLY public.ab_permission_view
    ADD CONSTRAINT ab_permission_view_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.ab_permission_view_role
    ADD CONSTRAINT ab_permission_view_role_permission_view_id_role_id_key UNIQUE (permission_view_id, role_id);
ALTER TABLE ONLY public.ab_permission_view_role
    ADD CONSTRAINT ab_permission_view_role_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.ab_register_user
    ADD CONSTRAINT ab_register_user_email_key UNIQUE (email);
ALTER TABLE ONLY public.ab_register_user
    ADD CONSTRAINT ab_register_user_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.ab_register_user
    ADD CONSTRAINT ab_register_user_username_key UNIQUE (username);
ALTER TABLE ONLY public.ab_role
    ADD CONSTRAINT ab_role_name_key UNIQUE (name);
ALTER TABLE ONLY public.ab_role
    ADD CONSTRAINT ab_role_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.ab_user
    ADD CONSTRAINT ab_user_email_key UNIQUE (email);
ALTER TABLE ONLY public.ab_user_group
    ADD CONSTRAINT ab_user_group_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.ab_user_group
    ADD CONSTRAINT ab_user_group_user_id_group_id_key UNIQUE (user_id, group_id);
ALTER TABLE ONLY public.ab_user
    ADD CONSTRAINT ab_user_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.ab_user_role
    ADD CONSTRAINT ab_user_role_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.ab_user_role
    ADD CONSTRAINT ab_user_role_user_id_role_id_key UNIQUE (user_id, role_id);
ALTER TABLE ONLY public.ab_user
    ADD CONSTRAINT ab_user_username_key UNIQUE (username);
ALTER TABLE ONLY public.ab_view_menu
    ADD CONSTRAINT ab_view_menu_name_key UNIQUE (name);
ALTER TABLE ONLY public.ab_view_menu
    ADD CONSTRAINT ab_view_menu_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.account
    ADD CONSTRAINT account_id_currency_key UNIQUE (id, currency);
ALTER TABLE ONLY public.account
    ADD CONSTRAINT account_name_owner_currency_key UNIQUE (name, owner, currency);
ALTER TABLE ONLY public.account
    ADD CONSTRAINT account_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.alembic_version
    ADD CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num);
ALTER TABLE ONLY public.automation
    ADD CONSTRAINT automation_name_key UNIQUE (name);
ALTER TABLE ONLY public.automation
    ADD CONSTRAINT automation_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.basket
    ADD CONSTRAINT basket_gateway_order_id_key UNIQUE (gateway, order_id);
ALTER TABLE ONLY public.basket
    ADD CONSTRAINT basket_handle_key UNIQUE (handle);
ALTER TABLE ONLY public.basket
    ADD CONSTRAINT basket_number_key UNIQUE (number);
ALTER TABLE ONLY public.basket
    ADD CONSTRAINT basket_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.batch
    ADD CONSTRAINT batch_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.bill
    ADD CONSTRAINT bill_gateway_order_id_key UNIQUE (gateway, order_id);
ALTER TABLE ONLY public.bill
    ADD CONSTRAINT bill_handle_key UNIQUE (handle);
ALTER TABLE ONLY public.bill
    ADD CONSTRAINT bill_noun_row_id_part_key UNIQUE (noun, row_id, part);
ALTER TABLE ONLY public.bill
    ADD CONSTRAINT bill_number_key UNIQUE (number);
ALTER TABLE ONLY public.bill
    ADD CONSTRAINT bill_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.booking
    ADD CONSTRAINT booking_handle_key UNIQUE (handle);
ALTER TABLE ONLY public.booking
    ADD CONSTRAINT booking_number_key UNIQUE (number);
ALTER TABLE ONLY public.booking
    ADD CONSTRAINT booking_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.booking
    ADD CONSTRAINT booking_request_key_key UNIQUE (request_key);
ALTER TABLE ONLY public.business
    ADD CONSTRAINT business_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.busy_calendar
    ADD CONSTRAINT busy_calendar_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.busy
    ADD CONSTRAINT busy_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.call
    ADD CONSTRAINT call_event_id_key UNIQUE (event_id);
ALTER TABLE ONLY public.call
    ADD CONSTRAINT call_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.change
    ADD CONSTRAINT change_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.closure
    ADD CONSTRAINT closure_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.code
    ADD CONSTRAINT code_handle_key UNIQUE (handle);
ALTER TABLE ONLY public.code
    ADD CONSTRAINT code_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.coupon
    ADD CONSTRAINT coupon_code_key UNIQUE (code);
ALTER TABLE ONLY public.coupon
    ADD CONSTRAINT coupon_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.coupon_use
    ADD CONSTRAINT coupon_use_coupon_id_noun_row_id_key UNIQUE (coupon_id, noun, row_id);
ALTER TABLE ONLY public.coupon_use
    ADD CONSTRAINT coupon_use_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.dispute
    ADD CONSTRAINT dispute_gateway_gateway_id_key UNIQUE (gateway, gateway_id);
ALTER TABLE ONLY public.dispute
    ADD CONSTRAINT dispute_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.edition
    ADD CONSTRAINT edition_form_id_number_key UNIQUE (form_id, number);
ALTER TABLE ONLY public.edition
    ADD CONSTRAINT edition_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.event
    ADD CONSTRAINT event_gateway_event_id_key UNIQUE (gateway, event_id);
ALTER TABLE ONLY public.event
    ADD CONSTRAINT event_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.extra
    ADD CONSTRAINT extra_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.field
    ADD CONSTRAINT field_noun_key_key UNIQUE (noun, key);
ALTER TABLE ONLY public.field
    ADD CONSTRAINT field_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.finding
    ADD CONSTRAINT finding_noun_row_id_key UNIQUE (noun, row_id);
ALTER TABLE ONLY public.finding
    ADD CONSTRAINT finding_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.form
    ADD CONSTRAINT form_name_key UNIQUE (name);
ALTER TABLE ONLY public.form
    ADD CONSTRAINT form_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.giver
    ADD CONSTRAINT giver_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.giver
    ADD CONSTRAINT giver_service_id_practitioner_id_key UNIQUE (service_id, practitioner_id);
ALTER TABLE ONLY public.hold
    ADD CONSTRAINT hold_key_key UNIQUE (key);
ALTER TABLE ONLY public.hold
    ADD CONSTRAINT hold_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.hook
    ADD CONSTRAINT hook_handle_key UNIQUE (handle);
ALTER TABLE ONLY public.hook
    ADD CONSTRAINT hook_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.hours
    ADD CONSTRAINT hours_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.in_basket
    ADD CONSTRAINT in_basket_basket_id_bill_id_key UNIQUE (basket_id, bill_id);
ALTER TABLE ONLY public.in_basket
    ADD CONSTRAINT in_basket_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.intake_line
    ADD CONSTRAINT intake_line_intake_id_line_key UNIQUE (intake_id, line);
ALTER TABLE ONLY public.intake_line
    ADD CONSTRAINT intake_line_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.intake
    ADD CONSTRAINT intake_once_key UNIQUE (once);
ALTER TABLE ONLY public.intake
    ADD CONSTRAINT intake_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.invoice
    ADD CONSTRAINT invoice_handle_key UNIQUE (handle);
ALTER TABLE ONLY public.invoice
    ADD CONSTRAINT invoice_number_key UNIQUE (number);
ALTER TABLE ONLY public.invoice
    ADD CONSTRAINT invoice_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.job
    ADD CONSTRAINT job_key_key UNIQUE (key);
ALTER TABLE ONLY public.job
    ADD CONSTRAINT job_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.line
    ADD CONSTRAINT line_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.meeting
    ADD CONSTRAINT meeting_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.message
    ADD CONSTRAINT message_key_channel_key UNIQUE (key, channel);
ALTER TABLE ONLY public.message
    ADD CONSTRAINT message_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.notice
    ADD CONSTRAINT notice_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.opens
    ADD CONSTRAINT opens_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.opens
    ADD CONSTRAINT opens_resource_user_id_key UNIQUE (resource, user_id);
ALTER TABLE ONLY public.opt_in
    ADD CONSTRAINT opt_in_person_id_channel_key UNIQUE (person_id, channel);
ALTER TABLE ONLY public.opt_in
    ADD CONSTRAINT opt_in_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.other_hours
    ADD CONSTRAINT other_hours_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.package
    ADD CONSTRAINT package_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.pass
    ADD CONSTRAINT pass_code_key UNIQUE (code);
ALTER TABLE ONLY public.pass
    ADD CONSTRAINT pass_handle_key UNIQUE (handle);
ALTER TABLE ONLY public.pass
    ADD CONSTRAINT pass_number_key UNIQUE (number);
ALTER TABLE ONLY public.pass
    ADD CONSTRAINT pass_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.pass
    ADD CONSTRAINT pass_request_key_key UNIQUE (request_key);
ALTER TABLE ONLY public.pass_use
    ADD CONSTRAINT pass_use_pass_id_booking_id_key UNIQUE (pass_id, booking_id);
ALTER TABLE ONLY public.pass_use
    ADD CONSTRAINT pass_use_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.passkey
    ADD CONSTRAINT passkey_credential_key UNIQUE (credential);
ALTER TABLE ONLY public.passkey
    ADD CONSTRAINT passkey_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.payment
    ADD CONSTRAINT payment_gateway_gateway_id_bill_id_key UNIQUE (gateway, gateway_id, bill_id);
ALTER TABLE ONLY public.payment
    ADD CONSTRAINT payment_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.person
    ADD CONSTRAINT person_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.picture
    ADD CONSTRAINT picture_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.posting
    ADD CONSTRAINT posting_key_key UNIQUE (key);
ALTER TABLE ONLY public.posting
    ADD CONSTRAINT posting_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.posting
    ADD CONSTRAINT posting_reverses_id_key UNIQUE (reverses_id);
ALTER TABLE ONLY public.practitioner
    ADD CONSTRAINT practitioner_handle_key UNIQUE (handle);
ALTER TABLE ONLY public.practitioner
    ADD CONSTRAINT practitioner_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.preference
    ADD CONSTRAINT preference_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.preference
    ADD CONSTRAINT preference_user_id_kind_key UNIQUE (user_id, kind);
ALTER TABLE ONLY public.presence
    ADD CONSTRAINT presence_one_place_at_a_time EXCLUDE USING gist (practitioner_id WITH =, slot_id WITH <>, during WITH &&);
ALTER TABLE ONLY public.presence
    ADD CONSTRAINT presence_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.put_away
    ADD CONSTRAINT put_away_noun_row_id_key UNIQUE (noun, row_id);
ALTER TABLE ONLY public.put_away
    ADD CONSTRAINT put_away_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.quote
    ADD CONSTRAINT quote_handle_key UNIQUE (handle);
ALTER TABLE ONLY public.quote
    ADD CONSTRAINT quote_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.refund
    ADD CONSTRAINT refund_gateway_gateway_id_payment_id_key UNIQUE (gateway, gateway_id, payment_id);
ALTER TABLE ONLY public.refund
    ADD CONSTRAINT refund_number_key UNIQUE (number);
ALTER TABLE ONLY public.refund
    ADD CONSTRAINT refund_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.refund_policy
    ADD CONSTRAINT refund_policy_name_key UNIQUE (name);
ALTER TABLE ONLY public.refund_policy
    ADD CONSTRAINT refund_policy_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.remark
    ADD CONSTRAINT remark_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.run
    ADD CONSTRAINT run_automation_id_row_id_verb_change_key UNIQUE (automation_id, row_id, verb, change);
ALTER TABLE ONLY public.run
    ADD CONSTRAINT run_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.second
    ADD CONSTRAINT second_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.second
    ADD CONSTRAINT second_user_id_key UNIQUE (user_id);
ALTER TABLE ONLY public.series
    ADD CONSTRAINT series_kind_year_key UNIQUE (kind, year);
ALTER TABLE ONLY public.series
    ADD CONSTRAINT series_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.service
    ADD CONSTRAINT service_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.service
    ADD CONSTRAINT service_slug_key UNIQUE (slug);
ALTER TABLE ONLY public.settlement
    ADD CONSTRAINT settlement_gateway_kind_entity_id_key UNIQUE (gateway, kind, entity_id);
ALTER TABLE ONLY public.settlement
    ADD CONSTRAINT settlement_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.sitting
    ADD CONSTRAINT sitting_digest_key UNIQUE (digest);
ALTER TABLE ONLY public.sitting
    ADD CONSTRAINT sitting_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.slot
    ADD CONSTRAINT slot_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.slot
    ADD CONSTRAINT slot_practitioner_id_partner_id_service_id_starts_at_key UNIQUE NULLS NOT DISTINCT (practitioner_id, partner_id, service_id, starts_at);
ALTER TABLE ONLY public.spent
    ADD CONSTRAINT spent_digest_key UNIQUE (digest);
ALTER TABLE ONLY public.spent
    ADD CONSTRAINT spent_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.subscription
    ADD CONSTRAINT subscription_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.switch
    ADD CONSTRAINT switch_name_key UNIQUE (name);
ALTER TABLE ONLY public.switch
    ADD CONSTRAINT switch_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.tally
    ADD CONSTRAINT tally_gateway_day_there_currency_key UNIQUE (gateway, day, there_currency);
ALTER TABLE ONLY public.tally
    ADD CONSTRAINT tally_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.task
    ADD CONSTRAINT task_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.tick
    ADD CONSTRAINT tick_name_key UNIQUE (name);
ALTER TABLE ONLY public.tick
    ADD CONSTRAINT tick_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.token
    ADD CONSTRAINT token_digest_key UNIQUE (digest);
ALTER TABLE ONLY public.token
    ADD CONSTRAINT token_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.upload
    ADD CONSTRAINT upload_handle_key UNIQUE (handle);
ALTER TABLE ONLY public.upload
    ADD CONSTRAINT upload_mark_key UNIQUE (mark);
ALTER TABLE ONLY public.upload
    ADD CONSTRAINT upload_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.view
    ADD CONSTRAINT view_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.view
    ADD CONSTRAINT view_resource_user_id_name_key UNIQUE (resource, user_id, name);
ALTER TABLE ONLY public.waiting
    ADD CONSTRAINT waiting_handle_key UNIQUE (handle);
ALTER TABLE ONLY public.waiting
    ADD CONSTRAINT waiting_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.wording
    ADD CONSTRAINT wording_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.wording
    ADD CONSTRAINT wording_template_locale_channel_edition_key UNIQUE (template, locale, channel, edition);
CREATE INDEX automation_state ON public.automation USING btree (state);
CREATE INDEX basket_look_at ON public.basket USING btree (look_at);
CREATE INDEX basket_person_id ON public.basket USING btree (person_id);
CREATE INDEX batch_user_id ON public.batch USING btree (user_id);
CREATE INDEX bill_look_at ON public.bill USING btree (look_at);
CREATE INDEX bill_person_id ON public.bill USING btree (person_id);
CREATE INDEX bill_state ON public.bill USING btree (state);
CREATE UNIQUE INDEX booking_one_per_seat ON public.booking USING btree (slot_id, seat) WHERE ((state)::text = ANY ((ARRAY['held'::character varying, 'requested'::character varying, 'confirmed'::character varying, 'completed'::character varying, 'no_show'::character varying])::text[]));
CREATE INDEX booking_person_id ON public.booking USING btree (person_id);
CREATE INDEX booking_slot_id ON public.booking USING btree (slot_id);
CREATE INDEX booking_state ON public.booking USING btree (state);
CREATE INDEX busy_calendar_id ON public.busy USING btree (calendar_id);
CREATE INDEX busy_calendar_practitioner_id ON public.busy_calendar USING btree (practitioner_id);
CREATE INDEX busy_calendar_state ON public.busy_calendar USING btree (state);
CREATE INDEX busy_during ON public.busy USING gist (during);
CREATE INDEX call_event ON public.call USING btree (event);
CREATE INDEX call_hook_id ON public.call USING btree (hook_id);
CREATE INDEX call_state ON public.call USING btree (state);
CREATE INDEX change_noun_row_id ON public.change USING btree (noun, row_id, id);
CREATE INDEX closure_ends_at ON public.closure USING btree (ends_at);
CREATE INDEX closure_practitioner_id ON public.closure USING btree (practitioner_id);
CREATE INDEX code_mailbox ON public.code USING btree (mailbox);
CREATE INDEX code_person_id ON public.code USING btree (person_id);
CREATE INDEX code_state ON public.code USING btree (state);
CREATE INDEX coupon_state ON public.coupon USING btree (state);
CREATE INDEX coupon_use_mailbox ON public.coupon_use USING btree (coupon_id, mailbox);
CREATE INDEX coupon_use_state ON public.coupon_use USING btree (state);
CREATE INDEX dispute_look_at ON public.dispute USING btree (look_at);
CREATE INDEX dispute_payment_id ON public.dispute USING btree (payment_id);
CREATE INDEX dispute_respond_by ON public.dispute USING btree (respond_by);
CREATE INDEX dispute_state ON public.dispute USING btree (state);
CREATE INDEX event_order_id ON public.event USING btree (order_id);
CREATE INDEX event_state ON public.event USING btree (state);
CREATE INDEX extra_service_id ON public.extra USING btree (service_id);
CREATE INDEX extra_state ON public.extra USING btree (state);
CREATE INDEX field_state ON public.field USING btree (state);
CREATE INDEX finding_letters ON public.finding USING gin (letters public.gin_trgm_ops);
CREATE INDEX finding_words ON public.finding USING gin (words);
CREATE INDEX form_state ON public.form USING btree (state);
CREATE INDEX giver_practitioner_id ON public.giver USING btree (practitioner_id);
CREATE INDEX hold_account_id ON public.hold USING btree (account_id);
CREATE INDEX hold_state ON public.hold USING btree (state);
CREATE INDEX hook_state ON public.hook USING btree (state);
CREATE INDEX hours_practitioner_id ON public.hours USING btree (practitioner_id);
CREATE INDEX hours_service_id ON public.hours USING btree (service_id);
CREATE UNIQUE INDEX idx_api_key_lookup_hash ON public.ab_api_key USING btree (lookup_hash);
CREATE INDEX idx_api_key_prefix ON public.ab_api_key USING btree (key_prefix);
CREATE INDEX idx_api_key_user_id ON public.ab_api_key USING btree (user_id);
CREATE INDEX idx_group_id ON public.ab_group_role USING btree (group_id);
CREATE INDEX idx_group_role_id ON public.ab_group_role USING btree (role_id);
CREATE INDEX idx_permission_id ON public.ab_permission_view USING btree (permission_id);
CREATE INDEX idx_permission_view_id ON public.ab_permission_view_role USING btree (permission_view_id);
CREATE INDEX idx_role_id ON public.ab_permission_view_role USING btree (role_id);
CREATE INDEX idx_user_group_id ON public.ab_user_group USING btree (group_id);
CREATE INDEX idx_user_id ON public.ab_user_group USING btree (user_id);
CREATE INDEX idx_view_menu_id ON public.ab_permission_view USING btree (view_menu_id);
CREATE INDEX in_basket_basket_id ON public.in_basket USING btree (basket_id);
CREATE INDEX in_basket_bill_id ON public.in_basket USING btree (bill_id);
CREATE INDEX intake_mine ON public.intake USING btree (user_id, resource, id);
CREATE INDEX intake_state ON public.intake USING btree (state);
CREATE INDEX invoice_bill_id ON public.invoice USING btree (bill_id);
CREATE UNIQUE INDEX invoice_credit_once ON public.invoice USING btree (refund_id);
CREATE INDEX invoice_day ON public.invoice USING btree (day);
CREATE UNIQUE INDEX invoice_once ON public.invoice USING btree (kind, payment_id) WHERE (kind <> 'credit_note'::text);
CREATE INDEX invoice_payment_id ON public.invoice USING btree (payment_id);
CREATE INDEX invoice_person_id ON public.invoice USING btree (person_id);
CREATE INDEX job_due ON public.job USING btree (due_at) WHERE ((state)::text = ANY ((ARRAY['waiting'::character varying, 'running'::character varying])::text[]));
CREATE INDEX job_name ON public.job USING btree (name);
CREATE INDEX job_state ON public.job USING btree (state);
CREATE INDEX line_account_id ON public.line USING btree (account_id);
CREATE INDEX line_posting_id ON public.line USING btree (posting_id);
CREATE INDEX meeting_booking_id ON public.meeting USING btree (booking_id);
CREATE INDEX meeting_key ON public.meeting USING btree (key);
CREATE UNIQUE INDEX meeting_one_each ON public.meeting USING btree (booking_id) WHERE ((state)::text <> 'cancelled'::text);
CREATE INDEX meeting_state ON public.meeting USING btree (state);
CREATE INDEX message_about ON public.message USING btree (noun, row_id);
CREATE INDEX message_by_due_at ON public.message USING btree (due_at, id);
CREATE INDEX message_person_id ON public.message USING btree (person_id);
CREATE INDEX message_provider_id ON public.message USING btree (provider_id);
CREATE INDEX message_state ON public.message USING btree (state);
CREATE INDEX notice_mine ON public.notice USING btree (user_id, id);
CREATE INDEX notice_new ON public.notice USING btree (user_id) WHERE (read_at IS NULL);
CREATE INDEX notice_topic ON public.notice USING btree (user_id, topic);
CREATE INDEX opt_in_state ON public.opt_in USING btree (state);
CREATE INDEX other_hours_practitioner_id_day ON public.other_hours USING btree (practitioner_id, day);
CREATE INDEX package_service_id ON public.package USING btree (service_id);
CREATE INDEX package_state ON public.package USING btree (state);
CREATE INDEX pass_package_id ON public.pass USING btree (package_id);
CREATE INDEX pass_person_id ON public.pass USING btree (person_id);
CREATE INDEX pass_state ON public.pass USING btree (state);
CREATE INDEX pass_use_booking_id ON public.pass_use USING btree (booking_id);
CREATE INDEX pass_use_pass_id ON public.pass_use USING btree (pass_id);
CREATE INDEX pass_use_state ON public.pass_use USING btree (state);
CREATE INDEX passkey_user_id ON public.passkey USING btree (user_id);
CREATE INDEX payment_basket_id ON public.payment USING btree (basket_id);
CREATE INDEX payment_bill_id ON public.payment USING btree (bill_id);
CREATE INDEX payment_captured_at ON public.payment USING btree (captured_at);
CREATE UNIQUE INDEX payment_once ON public.payment USING btree (gateway, gateway_id) WHERE (basket_id IS NULL);
CREATE INDEX payment_state ON public.payment USING btree (state);
CREATE INDEX payment_taken_at ON public.payment USING btree (taken_at);
CREATE INDEX person_by_name ON public.person USING btree (name, id);
CREATE INDEX person_email_lower ON public.person USING btree (lower(email));
CREATE INDEX person_state ON public.person USING btree (state);
CREATE INDEX posting_about ON public.posting USING btree (noun, row_id);
CREATE INDEX posting_day ON public.posting USING btree (day);
CREATE INDEX posting_person_id ON public.posting USING btree (person_id);
CREATE INDEX practitioner_state ON public.practitioner USING btree (state);
CREATE INDEX practitioner_user_id ON public.practitioner USING btree (user_id);
CREATE INDEX presence_booking_id ON public.presence USING btree (booking_id);
CREATE INDEX presence_slot_id ON public.presence USING btree (slot_id);
CREATE INDEX quote_state ON public.quote USING btree (state);
CREATE INDEX refund_look_at ON public.refund USING btree (look_at);
CREATE INDEX refund_payment_id ON public.refund USING btree (payment_id);
CREATE INDEX refund_policy_state ON public.refund_policy USING btree (state);
CREATE INDEX refund_state ON public.refund USING btree (state);
CREATE INDEX remark_about ON public.remark USING btree (noun, row_id, id);
CREATE INDEX remark_user_id ON public.remark USING btree (user_id);
CREATE INDEX run_about ON public.run USING btree (noun, row_id);
CREATE INDEX run_state ON public.run USING btree (state);
CREATE INDEX service_state ON public.service USING btree (state);
CREATE INDEX settlement_day ON public.settlement USING btree (day);
CREATE INDEX settlement_entity_id ON public.settlement USING btree (entity_id);
CREATE INDEX settlement_reference ON public.settlement USING btree (reference);
CREATE INDEX settlement_state ON public.settlement USING btree (state);
CREATE INDEX sitting_user_id ON public.sitting USING btree (user_id);
CREATE INDEX slot_service_id ON public.slot USING btree (service_id);
CREATE INDEX slot_starts_at ON public.slot USING btree (starts_at);
CREATE INDEX slot_state ON public.slot USING btree (state);
CREATE INDEX subscription_due ON public.subscription USING btree (next_at) WHERE ((state)::text = 'on'::text);
CREATE INDEX subscription_mine ON public.subscription USING btree (who_id, report);
CREATE INDEX subscription_state ON public.subscription USING btree (state);
CREATE INDEX switch_state ON public.switch USING btree (state);
CREATE INDEX tally_day ON public.tally USING btree (day);
CREATE INDEX tally_state ON public.tally USING btree (state);
CREATE INDEX task_about ON public.task USING btree (noun, row_id, id);
CREATE INDEX task_due ON public.task USING btree (due_on) WHERE ((state)::text = 'open'::text);
CREATE INDEX task_state ON public.task USING btree (state);
CREATE INDEX task_who_id ON public.task USING btree (who_id);
CREATE INDEX token_user_id ON public.token USING btree (user_id);
CREATE INDEX upload_row ON public.upload USING btree (noun, row_id);
CREATE INDEX upload_state ON public.upload USING btree (state);
CREATE UNIQUE INDEX view_one_first ON public.view USING btree (resource, user_id) WHERE first;
CREATE UNIQUE INDEX waiting_once ON public.waiting USING btree (service_id, person_id) WHERE ((state)::text = ANY ((ARRAY['waiting'::character varying, 'offered'::character varying])::text[]));
CREATE INDEX waiting_person_id ON public.waiting USING btree (person_id);
CREATE INDEX waiting_service_id ON public.waiting USING btree (service_id);
CREATE INDEX waiting_state ON public.waiting USING btree (state);
CREATE UNIQUE INDEX wording_one_in_use ON public.wording USING btree (template, locale, channel) WHERE ((state)::text = 'used'::text);
CREATE INDEX wording_state ON public.wording USING btree (state);
CREATE TRIGGER change_is_final BEFORE DELETE OR UPDATE ON public.change FOR EACH ROW EXECUTE FUNCTION public.change_stays();
CREATE TRIGGER change_is_whole BEFORE TRUNCATE ON public.change FOR EACH STATEMENT EXECUTE FUNCTION public.history_is_final();
CREATE TRIGGER edition_is_final BEFORE DELETE OR UPDATE ON public.edition FOR EACH ROW EXECUTE FUNCTION public.history_is_final();
CREATE TRIGGER invoice_is_final BEFORE DELETE OR UPDATE ON public.invoice FOR EACH ROW EXECUTE FUNCTION public.history_is_final();
CREATE TRIGGER invoice_is_whole BEFORE TRUNCATE ON public.invoice FOR EACH STATEMENT EXECUTE FUNCTION public.history_is_final();
CREATE CONSTRAINT TRIGGER line_adds_up AFTER INSERT ON public.line DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.lines_add_up();
CREATE TRIGGER line_is_final BEFORE DELETE OR UPDATE ON public.line FOR EACH ROW EXECUTE FUNCTION public.history_is_final();
CREATE TRIGGER line_is_whole BEFORE TRUNCATE ON public.line FOR EACH STATEMENT EXECUTE FUNCTION public.history_is_final();
CREATE TRIGGER line_moves_balance AFTER INSERT ON public.line FOR EACH ROW EXECUTE FUNCTION public.line_moves_balance();
CREATE CONSTRAINT TRIGGER posting_adds_up AFTER INSERT ON public.posting DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.lines_add_up();
CREATE TRIGGER posting_is_final BEFORE DELETE OR UPDATE ON public.posting FOR EACH ROW EXECUTE FUNCTION public.history_is_final();
CREATE TRIGGER posting_is_whole BEFORE TRUNCATE ON public.posting FOR EACH STATEMENT EXECUTE FUNCTION public.history_is_final();
ALTER TABLE ONLY public.ab_api_key
    ADD CONSTRAINT ab_api_key_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.ab_user(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.ab_group_role
    ADD CONSTRAINT ab_group_role_group_id_fkey FOREIGN KEY (group_id) REFERENCES public.ab_group(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.ab_group_role
    ADD CONSTRAINT ab_group_role_role_id_fkey FOREIGN KEY (role_id) REFERENCES public.ab_role(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.ab_permission_view
    ADD CONSTRAINT ab_permission_view_permission_id_fkey FOREIGN KEY (permission_id) REFERENCES public.ab_permission(id);
ALTER TABLE ONLY public.ab_permission_view_role
    ADD CONSTRAINT ab_permission_view_role_permission_view_id_fkey FOREIGN KEY (permission_view_id) REFERENCES public.ab_permission_view(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.ab_permission_view_role
    ADD CONSTRAINT ab_permission_view_role_role_id_fkey FOREIGN KEY (role_id) REFERENCES public.ab_role(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.ab_permission_view
    ADD CONSTRAINT ab_permission_view_view_menu_id_fkey FOREIGN KEY (view_menu_id) REFERENCES public.ab_view_menu(id);
ALTER TABLE ONLY public.ab_user
    ADD CONSTRAINT ab_user_changed_by_fk_fkey FOREIGN KEY (changed_by_fk) REFERENCES public.ab_user(id);
ALTER TABLE ONLY public.ab_user
    ADD CONSTRAINT ab_user_created_by_fk_fkey FOREIGN KEY (created_by_fk) REFERENCES public.ab_user(id);
ALTER TABLE ONLY public.ab_user_group
    ADD CONSTRAINT ab_user_group_group_id_fkey FOREIGN KEY (group_id) REFERENCES public.ab_group(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.ab_user_group
    ADD CONSTRAINT ab_user_group_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.ab_user(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.ab_user_role
    ADD CONSTRAINT ab_user_role_role_id_fkey FOREIGN KEY (role_id) REFERENCES public.ab_role(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.ab_user_role
    ADD CONSTRAINT ab_user_role_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.ab_user(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.automation
    ADD CONSTRAINT automation_maker_id_fkey FOREIGN KEY (maker_id) REFERENCES public.ab_user(id) ON DELETE SET NULL;
ALTER TABLE ONLY public.basket
    ADD CONSTRAINT basket_person_id_fkey FOREIGN KEY (person_id) REFERENCES public.person(id);
ALTER TABLE ONLY public.batch
    ADD CONSTRAINT batch_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.ab_user(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.bill
    ADD CONSTRAINT bill_person_id_fkey FOREIGN KEY (person_id) REFERENCES public.person(id);
ALTER TABLE ONLY public.booking
    ADD CONSTRAINT booking_form_edition_id_fkey FOREIGN KEY (form_edition_id) REFERENCES public.edition(id);
ALTER TABLE ONLY public.booking
    ADD CONSTRAINT booking_person_id_fkey FOREIGN KEY (person_id) REFERENCES public.person(id);
ALTER TABLE ONLY public.booking
    ADD CONSTRAINT booking_quote_id_fkey FOREIGN KEY (quote_id) REFERENCES public.quote(id);
ALTER TABLE ONLY public.booking
    ADD CONSTRAINT booking_slot_id_fkey FOREIGN KEY (slot_id) REFERENCES public.slot(id);
ALTER TABLE ONLY public.business
    ADD CONSTRAINT business_logo_id_fkey FOREIGN KEY (logo_id) REFERENCES public.picture(id);
ALTER TABLE ONLY public.busy
    ADD CONSTRAINT busy_calendar_id_fkey FOREIGN KEY (calendar_id) REFERENCES public.busy_calendar(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.busy_calendar
    ADD CONSTRAINT busy_calendar_practitioner_id_fkey FOREIGN KEY (practitioner_id) REFERENCES public.practitioner(id);
ALTER TABLE ONLY public.call
    ADD CONSTRAINT call_hook_id_fkey FOREIGN KEY (hook_id) REFERENCES public.hook(id);
ALTER TABLE ONLY public.closure
    ADD CONSTRAINT closure_practitioner_id_fkey FOREIGN KEY (practitioner_id) REFERENCES public.practitioner(id);
ALTER TABLE ONLY public.code
    ADD CONSTRAINT code_person_id_fkey FOREIGN KEY (person_id) REFERENCES public.person(id);
ALTER TABLE ONLY public.coupon_use
    ADD CONSTRAINT coupon_use_coupon_id_fkey FOREIGN KEY (coupon_id) REFERENCES public.coupon(id);
ALTER TABLE ONLY public.dispute
    ADD CONSTRAINT dispute_payment_id_fkey FOREIGN KEY (payment_id) REFERENCES public.payment(id);
ALTER TABLE ONLY public.edition
    ADD CONSTRAINT edition_form_id_fkey FOREIGN KEY (form_id) REFERENCES public.form(id);
ALTER TABLE ONLY public.extra
    ADD CONSTRAINT extra_service_id_fkey FOREIGN KEY (service_id) REFERENCES public.service(id);
ALTER TABLE ONLY public.giver
    ADD CONSTRAINT giver_practitioner_id_fkey FOREIGN KEY (practitioner_id) REFERENCES public.practitioner(id);
ALTER TABLE ONLY public.giver
    ADD CONSTRAINT giver_service_id_fkey FOREIGN KEY (service_id) REFERENCES public.service(id);
ALTER TABLE ONLY public.hold
    ADD CONSTRAINT hold_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.account(id);
ALTER TABLE ONLY public.hours
    ADD CONSTRAINT hours_practitioner_id_fkey FOREIGN KEY (practitioner_id) REFERENCES public.practitioner(id);
ALTER TABLE ONLY public.hours
    ADD CONSTRAINT hours_service_id_fkey FOREIGN KEY (service_id) REFERENCES public.service(id);
ALTER TABLE ONLY public.in_basket
    ADD CONSTRAINT in_basket_basket_id_fkey FOREIGN KEY (basket_id) REFERENCES public.basket(id);
ALTER TABLE ONLY public.in_basket
    ADD CONSTRAINT in_basket_bill_id_fkey FOREIGN KEY (bill_id) REFERENCES public.bill(id);
ALTER TABLE ONLY public.intake_line
    ADD CONSTRAINT intake_line_intake_id_fkey FOREIGN KEY (intake_id) REFERENCES public.intake(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.intake
    ADD CONSTRAINT intake_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.ab_user(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.invoice
    ADD CONSTRAINT invoice_bill_id_fkey FOREIGN KEY (bill_id) REFERENCES public.bill(id);
ALTER TABLE ONLY public.invoice
    ADD CONSTRAINT invoice_credits_id_fkey FOREIGN KEY (credits_id) REFERENCES public.invoice(id);
ALTER TABLE ONLY public.invoice
    ADD CONSTRAINT invoice_payment_id_fkey FOREIGN KEY (payment_id) REFERENCES public.payment(id);
ALTER TABLE ONLY public.invoice
    ADD CONSTRAINT invoice_person_id_fkey FOREIGN KEY (person_id) REFERENCES public.person(id);
ALTER TABLE ONLY public.invoice
    ADD CONSTRAINT invoice_refund_id_fkey FOREIGN KEY (refund_id) REFERENCES public.refund(id);
ALTER TABLE ONLY public.line
    ADD CONSTRAINT line_account_id_fkey FOREIGN KEY (account_id, money_currency) REFERENCES public.account(id, currency);
ALTER TABLE ONLY public.line
    ADD CONSTRAINT line_posting_id_fkey FOREIGN KEY (posting_id) REFERENCES public.posting(id);
ALTER TABLE ONLY public.meeting
    ADD CONSTRAINT meeting_booking_id_fkey FOREIGN KEY (booking_id) REFERENCES public.booking(id);
ALTER TABLE ONLY public.meeting
    ADD CONSTRAINT meeting_practitioner_id_fkey FOREIGN KEY (practitioner_id) REFERENCES public.practitioner(id);
ALTER TABLE ONLY public.message
    ADD CONSTRAINT message_person_id_fkey FOREIGN KEY (person_id) REFERENCES public.person(id);
ALTER TABLE ONLY public.message
    ADD CONSTRAINT message_wording_id_fkey FOREIGN KEY (wording_id) REFERENCES public.wording(id);
ALTER TABLE ONLY public.notice
    ADD CONSTRAINT notice_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.ab_user(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.opens
    ADD CONSTRAINT opens_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.ab_user(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.opens
    ADD CONSTRAINT opens_view_id_fkey FOREIGN KEY (view_id) REFERENCES public.view(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.opt_in
    ADD CONSTRAINT opt_in_person_id_fkey FOREIGN KEY (person_id) REFERENCES public.person(id);
ALTER TABLE ONLY public.other_hours
    ADD CONSTRAINT other_hours_practitioner_id_fkey FOREIGN KEY (practitioner_id) REFERENCES public.practitioner(id);
ALTER TABLE ONLY public.package
    ADD CONSTRAINT package_service_id_fkey FOREIGN KEY (service_id) REFERENCES public.service(id);
ALTER TABLE ONLY public.pass
    ADD CONSTRAINT pass_package_id_fkey FOREIGN KEY (package_id) REFERENCES public.package(id);
ALTER TABLE ONLY public.pass
    ADD CONSTRAINT pass_person_id_fkey FOREIGN KEY (person_id) REFERENCES public.person(id);
ALTER TABLE ONLY public.pass
    ADD CONSTRAINT pass_quote_id_fkey FOREIGN KEY (quote_id) REFERENCES public.quote(id);
ALTER TABLE ONLY public.pass_use
    ADD CONSTRAINT pass_use_booking_id_fkey FOREIGN KEY (booking_id) REFERENCES public.booking(id);
ALTER TABLE ONLY public.pass_use
    ADD CONSTRAINT pass_use_pass_id_fkey FOREIGN KEY (pass_id) REFERENCES public.pass(id);
ALTER TABLE ONLY public.passkey
    ADD CONSTRAINT passkey_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.ab_user(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.payment
    ADD CONSTRAINT payment_basket_id_fkey FOREIGN KEY (basket_id) REFERENCES public.basket(id);
ALTER TABLE ONLY public.payment
    ADD CONSTRAINT payment_bill_id_fkey FOREIGN KEY (bill_id) REFERENCES public.bill(id);
ALTER TABLE ONLY public.posting
    ADD CONSTRAINT posting_person_id_fkey FOREIGN KEY (person_id) REFERENCES public.person(id);
ALTER TABLE ONLY public.posting
    ADD CONSTRAINT posting_reverses_id_fkey FOREIGN KEY (reverses_id) REFERENCES public.posting(id);
ALTER TABLE ONLY public.practitioner
    ADD CONSTRAINT practitioner_photo_id_fkey FOREIGN KEY (photo_id) REFERENCES public.picture(id);
ALTER TABLE ONLY public.practitioner
    ADD CONSTRAINT practitioner_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.ab_user(id) ON DELETE SET NULL;
ALTER TABLE ONLY public.preference
    ADD CONSTRAINT preference_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.ab_user(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.presence
    ADD CONSTRAINT presence_booking_id_fkey FOREIGN KEY (booking_id) REFERENCES public.booking(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.presence
    ADD CONSTRAINT presence_practitioner_id_fkey FOREIGN KEY (practitioner_id) REFERENCES public.practitioner(id);
ALTER TABLE ONLY public.presence
    ADD CONSTRAINT presence_slot_id_fkey FOREIGN KEY (slot_id) REFERENCES public.slot(id);
ALTER TABLE ONLY public.put_away
    ADD CONSTRAINT put_away_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.ab_user(id) ON DELETE SET NULL;
ALTER TABLE ONLY public.quote
    ADD CONSTRAINT quote_coupon_id_fkey FOREIGN KEY (coupon_id) REFERENCES public.coupon(id);
ALTER TABLE ONLY public.refund
    ADD CONSTRAINT refund_payment_id_fkey FOREIGN KEY (payment_id) REFERENCES public.payment(id);
ALTER TABLE ONLY public.remark
    ADD CONSTRAINT remark_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.ab_user(id) ON DELETE SET NULL;
ALTER TABLE ONLY public.run
    ADD CONSTRAINT run_automation_id_fkey FOREIGN KEY (automation_id) REFERENCES public.automation(id);
ALTER TABLE ONLY public.second
    ADD CONSTRAINT second_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.ab_user(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.service
    ADD CONSTRAINT service_form_id_fkey FOREIGN KEY (form_id) REFERENCES public.form(id);
ALTER TABLE ONLY public.service
    ADD CONSTRAINT service_policy_id_fkey FOREIGN KEY (policy_id) REFERENCES public.refund_policy(id);
ALTER TABLE ONLY public.sitting
    ADD CONSTRAINT sitting_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.ab_user(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.slot
    ADD CONSTRAINT slot_partner_id_fkey FOREIGN KEY (partner_id) REFERENCES public.practitioner(id);
ALTER TABLE ONLY public.slot
    ADD CONSTRAINT slot_practitioner_id_fkey FOREIGN KEY (practitioner_id) REFERENCES public.practitioner(id);
ALTER TABLE ONLY public.slot
    ADD CONSTRAINT slot_service_id_fkey FOREIGN KEY (service_id) REFERENCES public.service(id);
ALTER TABLE ONLY public.subscription
    ADD CONSTRAINT subscription_who_id_fkey FOREIGN KEY (who_id) REFERENCES public.ab_user(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.task
    ADD CONSTRAINT task_who_id_fkey FOREIGN KEY (who_id) REFERENCES public.ab_user(id) ON DELETE SET NULL;
ALTER TABLE ONLY public.token
    ADD CONSTRAINT token_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.ab_user(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.upload
    ADD CONSTRAINT upload_form_id_fkey FOREIGN KEY (form_id) REFERENCES public.form(id);
ALTER TABLE ONLY public.view
    ADD CONSTRAINT view_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.ab_user(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.waiting
    ADD CONSTRAINT waiting_booking_id_fkey FOREIGN KEY (booking_id) REFERENCES public.booking(id);
ALTER TABLE ONLY public.waiting
    ADD CONSTRAINT waiting_person_id_fkey FOREIGN KEY (person_id) REFERENCES public.person(id);
ALTER TABLE ONLY public.waiting
    ADD CONSTRAINT waiting_practitioner_id_fkey FOREIGN KEY (practitioner_id) REFERENCES public.practitioner(id);
ALTER TABLE ONLY public.waiting
    ADD CONSTRAINT waiting_service_id_fkey FOREIGN KEY (service_id) REFERENCES public.service(id);
