using System.CommandLine;
using System.Net;
using Evenkeel.Backup.Server;

namespace Evenkeel.Cli.Backup;

/// <summary><c>repository serve</c>.</summary>
internal static class ServeCommand
{
    public static Command Create()
    {
        var directory = new Argument<string>("DIRECTORY") { Description = "Where the repositories are kept." };
        var listen = new Option<string>("--listen") { Description = "Address and port; port 0 takes a free one.", DefaultValueFactory = _ => "127.0.0.1:8000" };
        var certificate = new Option<string?>("--tls-certificate") { Description = "PEM file with the certificate and its chain." };
        var key = new Option<string?>("--tls-key") { Description = "PEM file with the certificate's key; default: the same file." };
        var plain = new Option<bool>("--plain-http") { Description = "Allows HTTP without TLS on an address that others reach." };
        var passwords = new Option<string?>("--password-file") { Description = "htpasswd file of the users (htpasswd -B)." };
        var open = new Option<bool>("--no-password") { Description = "Lets everybody in who can reach the address." };
        var maintenance = new Option<string?>("--maintenance-password-file") { Description = "htpasswd file of those who may also remove, for 'forget' and 'prune'." };
        var appendOnly = new Option<bool>("--append-only") { Description = "Users add and read, but remove nothing." };
        var isPrivate = new Option<bool>("--private") { Description = "A user reaches only what is below a folder of the user's name." };
        var quota = new Option<string?>("--quota") { Description = "How much each user may store (with --private), else all together; such as 500GiB." };
        var command = new DescribedCommand("serve", "Serves the repositories in a directory over restic's REST protocol, to restic too.", """
            Its clients say rest:http://USER:PASSWORD@HOST:8000/USER/NAME (or https). Uploads are hashed on arrival, so a broken
            transfer never becomes a file. Snapshots carry the time of their arrival by this server's clock, which 'forget' goes by.
            """)
        { directory, listen, certificate, key, plain, passwords, open, maintenance, appendOnly, isPrivate, quota };
        command.SetAction((parsed, cancellation) =>
        {
            var endpoint = IPEndPoint.TryParse(parsed.GetRequiredValue(listen), out var point) ? point
                : throw new CommandFailedException(ExitCode.Usage, "--listen is ADDRESS:PORT, such as 10.0.0.5:8000 or [::]:8000");
            var options = new RepositoryServerOptions
            {
                Directory = Path.GetFullPath(parsed.GetRequiredValue(directory)),
                Listen = endpoint,
                CertificateFile = parsed.GetValue(certificate),
                KeyFile = parsed.GetValue(key),
                PasswordFile = parsed.GetValue(passwords),
                MaintenancePasswordFile = parsed.GetValue(maintenance),
                AppendOnly = parsed.GetValue(appendOnly),
                PrivateRepositories = parsed.GetValue(isPrivate),
                QuotaBytes = parsed.GetValue(quota) is { } size ? Sizes.Parse(size) : null,
            };
            Refuse(options.PasswordFile is null && !parsed.GetValue(open),
                "nobody is told apart", "Give --password-file FILE, or say --no-password if everybody may come in.");
            Refuse(options.PrivateRepositories && options.PasswordFile is null, "--private needs --password-file", null);
            Refuse(options.CertificateFile is null && !IPAddress.IsLoopback(endpoint.Address) && !parsed.GetValue(plain),
                "passwords would cross the network in the clear", "Give --tls-certificate FILE, or say --plain-http if something else encrypts.");
            return ServeAsync(options, parsed.InvocationConfiguration, cancellation);
        });
        return command;
    }

    private static void Refuse(bool condition, string message, string? mend)
    {
        if (condition)
        {
            throw new CommandFailedException(ExitCode.Usage, message, mend);
        }
    }

    private static Task<int> ServeAsync(RepositoryServerOptions options, InvocationConfiguration console, CancellationToken cancellation) => Outcome.OfAsync(async () =>
    {
        var log = TextWriter.Synchronized(console.Error);
        await using var server = await RepositoryServer.StartAsync(options, TimeProvider.System, line => log.WriteLine("evenkeel: " + line), cancellation).ConfigureAwait(false);
        await console.Output.WriteLineAsync($"Serving {options.Directory} at {server.Address}{(options.AppendOnly ? ", append-only" : "")}").ConfigureAwait(false);
        await console.Output.FlushAsync(cancellation).ConfigureAwait(false);
        var stopped = new TaskCompletionSource();
        await using var _ = cancellation.Register(stopped.SetResult).ConfigureAwait(false);
        await stopped.Task.ConfigureAwait(false);
        return ExitCode.Success;
    });
}
