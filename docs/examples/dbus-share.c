/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* Hands a shared array to a process that was not forked, in a D-Bus message, and works on it there.
 *
 * The other process is this program once more, started anew with one end of a socket. In practice it
 * would be a service that has a name on a bus; the calls are the same.
 */

#include <gio/gio.h>
#include <gio/gunixfdlist.h>
#include <shmem-glib/shmem-glib.h>
#include <stdlib.h>
#include <sys/socket.h>

#define OBJECT_PATH "/org/example/Halver"
#define INTERFACE "org.example.Halver"
#define N_ITEMS 1000000

static const char interface_xml[] =
    "<node>"
    "  <interface name='" INTERFACE "'>"
    "    <method name='Halve'><arg type='" SHM_ARRAY_MESSAGE_TYPE "' direction='in'/></method>"
    "    <method name='Sum'><arg type='d' direction='out'/></method>"
    "  </interface>"
    "</node>";

static void
check (gboolean condition, const GError *error, const char *what)
{
  if (condition)
    return;
  g_printerr ("%s: %s\n", what, error != NULL ? error->message : "not as expected");
  exit (1);
}

/* Two processes with a socket between them need no bus. */
static GDBusConnection *
connect_peer (int fd, GDBusConnectionFlags flags)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GSocket) socket = g_socket_new_from_fd (fd, &error);
  g_autoptr (GSocketConnection) stream = NULL;
  g_autofree char *guid = NULL;
  GDBusConnection *connection;

  check (socket != NULL, error, "socket");
  stream = g_socket_connection_factory_create_connection (socket);
  if (flags & G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_SERVER)
    guid = g_dbus_generate_guid ();
  connection = g_dbus_connection_new_sync (G_IO_STREAM (stream), guid, flags, NULL, NULL, &error);
  check (connection != NULL, error, "connection");
  return connection;
}

/* The service: keeps the last array that it was given. */

static double
sum (ShmArray *array)
{
  const double *items = shm_array_get_data (array);
  double total = 0.0;

  for (gsize i = 0; i < shm_array_get_n_elements (array); i++)
    total += items[i];
  return total;
}

/* What arrives is within its memory, whatever the sender says, but it need not be what was agreed
 * on.
 */
static gboolean
is_usable (ShmArray *array)
{
  return shm_array_get_dtype (array) == SHM_DTYPE_F8 && shm_array_is_contiguous (array) &&
         !shm_array_is_read_only (array);
}

static void
halve (ShmArray **array, GVariant *parameters, GDBusMethodInvocation *invocation)
{
  GUnixFDList *fds =
      g_dbus_message_get_unix_fd_list (g_dbus_method_invocation_get_message (invocation));
  g_autoptr (GVariant) message = g_variant_get_child_value (parameters, 0);
  GError *error = NULL;
  double *items;

  g_clear_object (array);
  *array = shm_array_new_from_message (message, fds, &error);
  if (*array == NULL)
    {
      g_dbus_method_invocation_take_error (invocation, error);
      return;
    }
  if (!is_usable (*array))
    {
      g_clear_object (array);
      g_dbus_method_invocation_return_error (invocation, G_DBUS_ERROR, G_DBUS_ERROR_INVALID_ARGS,
                                             "Not an array of double that can be written to");
      return;
    }

  items = shm_array_get_data (*array);
  for (gsize i = 0; i < shm_array_get_n_elements (*array); i++)
    items[i] /= 2.0;
  g_dbus_method_invocation_return_value (invocation, NULL);
}

static void
on_method_call (GDBusConnection *connection,
                const char *sender,
                const char *object_path,
                const char *interface_name,
                const char *method_name,
                GVariant *parameters,
                GDBusMethodInvocation *invocation,
                gpointer user_data)
{
  ShmArray **array = user_data;

  if (g_str_equal (method_name, "Halve"))
    halve (array, parameters, invocation);
  else
    g_dbus_method_invocation_return_value (
        invocation, g_variant_new ("(d)", *array != NULL ? sum (*array) : 0.0));
}

static void
on_closed (GDBusConnection *connection, gboolean by_peer, GError *error, GMainLoop *loop)
{
  g_main_loop_quit (loop);
}

static int
run_service (int fd)
{
  static const GDBusInterfaceVTable vtable = { on_method_call, NULL, NULL, { NULL } };
  g_autoptr (GMainLoop) loop = g_main_loop_new (NULL, FALSE);
  g_autoptr (GDBusNodeInfo) node = g_dbus_node_info_new_for_xml (interface_xml, NULL);
  g_autoptr (ShmArray) array = NULL;
  g_autoptr (GError) error = NULL;
  g_autoptr (GDBusConnection) connection =
      connect_peer (fd, G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_SERVER |
                            G_DBUS_CONNECTION_FLAGS_DELAY_MESSAGE_PROCESSING);
  guint id = g_dbus_connection_register_object (connection, OBJECT_PATH, node->interfaces[0],
                                                &vtable, &array, NULL, &error);

  check (id != 0, error, "object");
  g_signal_connect (connection, "closed", G_CALLBACK (on_closed), loop);
  g_dbus_connection_start_message_processing (connection);
  g_main_loop_run (loop);
  g_dbus_connection_unregister_object (connection, id);
  return 0;
}

/* The client. */

static GVariant *
call (GDBusConnection *connection, const char *method, GVariant *parameters, GUnixFDList *fds)
{
  g_autoptr (GError) error = NULL;
  GVariant *reply = g_dbus_connection_call_with_unix_fd_list_sync (
      connection, NULL, OBJECT_PATH, INTERFACE, method, parameters, NULL, G_DBUS_CALL_FLAGS_NONE,
      -1, fds, NULL, NULL, &error);

  check (reply != NULL, error, method);
  return reply;
}

static void
use_service (GDBusConnection *connection)
{
  const gsize shape[] = { N_ITEMS };
  g_autoptr (GError) error = NULL;
  g_autoptr (ShmArray) array =
      shm_array_new_full (SHM_DTYPE_F8, 0, shape, 1, SHM_ARRAY_FLAGS_SHAREABLE, &error);
  g_autoptr (GUnixFDList) fds = g_unix_fd_list_new ();
  g_autoptr (GVariant) message = NULL;
  g_autoptr (GVariant) halved = NULL;
  g_autoptr (GVariant) answer = NULL;
  double *items;
  double total;

  check (array != NULL, error, "array");
  items = shm_array_get_data (array);
  for (gsize i = 0; i < N_ITEMS; i++)
    items[i] = (double) i;

  message = shm_array_to_message (array, fds, &error);
  check (message != NULL, error, "message");
  g_print ("%" G_GSIZE_FORMAT " bytes of items in a message of %" G_GSIZE_FORMAT " bytes\n",
           shm_array_get_n_bytes (array), g_variant_get_size (message));
  halved = call (connection, "Halve", g_variant_new_tuple (&message, 1), fds);
  for (gsize i = 0; i < N_ITEMS; i++)
    check (items[i] == (double) i / 2.0, NULL, "what the service wrote");
  g_print ("the service has halved them\n");

  /* the service still has the array, and sees what is written here */
  for (gsize i = 0; i < N_ITEMS; i++)
    items[i] = 3.0;
  answer = call (connection, "Sum", NULL, NULL);
  g_variant_get (answer, "(d)", &total);
  check (total == 3.0 * N_ITEMS, NULL, "what the service sees");
  g_print ("the service sees what is written here: the sum is %.0f\n", total);
}

int
main (int argc, char *argv[])
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GSubprocessLauncher) launcher = NULL;
  g_autoptr (GSubprocess) service = NULL;
  g_autoptr (GDBusConnection) connection = NULL;
  int fds[2];

  if (argc == 2 && g_str_equal (argv[1], "--service"))
    return run_service (3);

  check (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0, NULL, "socketpair");
  launcher = g_subprocess_launcher_new (G_SUBPROCESS_FLAGS_NONE);
  g_subprocess_launcher_take_fd (launcher, fds[1], 3);
  service = g_subprocess_launcher_spawn (launcher, &error, argv[0], "--service", NULL);
  check (service != NULL, error, "service");
  /* else this process would hold the other's end, and not hear of its death */
  g_clear_object (&launcher);

  connection = connect_peer (fds[0], G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT);
  use_service (connection);
  check (g_dbus_connection_close_sync (connection, NULL, &error), error, "close");
  check (g_subprocess_wait_check (service, NULL, &error), error, "service");
  return 0;
}
