using System.CommandLine;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using Evenkeel.Raid.Array;
using Evenkeel.Raid.Hosting;
using Evenkeel.Raid.Nbd;

namespace Evenkeel.Cli.Commands.Raid;

/// <summary><c>raid serve</c>: the process that an array runs in.</summary>
internal static class ServeCommand
{
    public static Command Create()
    {
        var options = new ServeOptions();
        var command = new DescribedCommand("serve", "Runs an array and serves it as an NBD export of its name, until SIGTERM or Ctrl-C.",
            "Resync and rebuild go on meanwhile; 'raid status', 'add', 'fail', 'replace', 'scrub' and 'stop' reach it by its name.\n"
            + "Use it with 'evenkeel volume attach', QEMU or an NBD client on another machine. The kernel's NBD client on this machine\n"
            + "can deadlock when memory runs short, because writing back would need memory of this process.");
        options.AddTo(command);
        command.SetAction((parsed, stop) => RaidGuard.RunAsync(() => ServeAsync(parsed, options, stop)));
        return command;
    }

    private static async Task<int> ServeAsync(ParseResult parsed, ServeOptions options, CancellationToken stop)
    {
        var (output, error) = (parsed.InvocationConfiguration.Output, parsed.InvocationConfiguration.Error);
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(stop);
        using var terminated = PosixSignalRegistration.Create(PosixSignal.SIGTERM, signal =>
        {
            signal.Cancel = true;
            ending.Cancel();
        });
        var client = options.Tls.Client(parsed);
        var devices = await MemberDevices.OpenAllAsync(parsed.GetRequiredValue(options.Members), options: client, direct: options.IsDirect(parsed)).ConfigureAwait(false);
        var opened = RaidCommands.Options(parsed, options.Force(parsed)) with { SyncBytesPerSecond = options.Limit(parsed) };
        await using var array = await ArrayAssembly.OpenAsync(devices, opened).ConfigureAwait(false);
        var endpoint = options.Endpoint(parsed, Path.ChangeExtension(RunningArrays.SocketOf(array.Name), ".nbd"));
        Directory.CreateDirectory(RunningArrays.Directory);
        if (endpoint is UnixDomainSocketEndPoint) File.Delete($"{endpoint}"); // the members are locked: whoever left it is gone
        await using (var server = NbdServer.Start(endpoint, [new ArrayExport(array, array.Name, options.IsReadOnly(parsed))], options.Tls.Server(parsed)))
        {
            var uri = options.Uri(parsed, array.Name, server.Endpoint);
            using var host = new ArrayHost(array, uri,
                name => MemberDevices.OpenAsync(name, options: client, direct: options.IsDirect(parsed)), message => error.WriteLine($"evenkeel: {message}"), new HostOptions
                {
                    ScrubFile = Path.Combine(RunningArrays.StateDirectory, $"{array.Id}.scrub"),
                    SpareGroup = options.SpareGroup(parsed),
                    Borrow = (bytes, cancel) => RunningArrays.BorrowAsync(array.Name, options.SpareGroup(parsed)!, bytes, cancel),
                });
            await using var control = HostSocket.Start(RunningArrays.SocketOf(array.Name), host);
            await output.WriteLineAsync(uri).ConfigureAwait(false);
            await host.RunAsync(ending.Token).ConfigureAwait(false);
        }

        if (endpoint is UnixDomainSocketEndPoint) File.Delete($"{endpoint}");
        return ExitCode.Success;
    }
}
