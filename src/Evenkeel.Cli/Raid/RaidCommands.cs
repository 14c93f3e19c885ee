using System.CommandLine;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using Evenkeel.Raid.Array;
using Evenkeel.Raid.Geometry;
using Evenkeel.Raid.Nbd;
using Evenkeel.Raid.Superblock;

namespace Evenkeel.Cli.Raid;

/// <summary><c>raid create|status|scrub|serve</c>: arrays of Linux md format without the kernel's md. An array runs in the process that serves it.</summary>
public static class RaidCommands
{
    private static readonly Argument<string[]> Members = new("MEMBER")
    {
        Description = "Files, block devices, or NBD URIs (nbd://host/export, nbd+unix:///export?socket=PATH).", Arity = ArgumentArity.OneOrMore,
    };

    private static readonly Option<bool> Force = new("--force") { Description = "Start a dirty and degraded RAID 5 or 6 although data may be wrong." };

    /// <summary>The command <c>raid</c>.</summary>
    public static Command Create() => new("raid", "Creates, checks and serves arrays that mdadm can read.") { CreateCreate(), CreateStatus(), CreateScrub(), CreateServe() };

    private static Command CreateCreate()
    {
        var level = new Option<int>("--level") { Description = "0, 1, 5, 6 or 10.", Required = true, HelpName = "N" };
        var name = new Option<string>("--name") { Description = "The array's name, up to 32 bytes.", Required = true, HelpName = "NAME" };
        var spares = new Option<int>("--spares") { Description = "How many of the members, the last ones, are hot spares.", HelpName = "N" };
        var chunk = new Option<int>("--chunk") { Description = "KiB in a chunk, a power of two.", DefaultValueFactory = _ => 512, HelpName = "KIB" };
        var zeros = new Option<bool>("--assume-clean") { Description = "Skip the first resync: right only for members that read as zeros." };
        var command = new DescribedCommand("create", "Makes an array; what is on the members is lost.",
            "Refuses members that carry an md superblock, unless --force. Without --assume-clean it returns when the redundancy is made good.")
        { Members, level, name, spares, chunk, zeros, Force };
        command.SetAction((parsed, stop) => GuardAsync(async () =>
        {
            var devices = await MemberDevices.OpenAsync(parsed.GetRequiredValue(Members)).ConfigureAwait(false);
            if (!parsed.GetValue(Force)) await MemberDevices.RefuseUsedAsync(devices).ConfigureAwait(false);
            await using var array = await ArrayCreation.CreateAsync(new ArrayDefinition
            {
                Level = (RaidLevel)parsed.GetRequiredValue(level), Name = parsed.GetRequiredValue(name), Slots = devices.Count - parsed.GetValue(spares),
                ChunkBytes = parsed.GetValue(chunk) * 1024, AssumeClean = parsed.GetValue(zeros),
            }, devices).ConfigureAwait(false);
            await array.ResyncAsync(stop: stop).ConfigureAwait(false);
            await array.StopAsync().ConfigureAwait(false);
            await ArrayText.WriteAsync(parsed.InvocationConfiguration.Output, array).ConfigureAwait(false);
            return ExitCode.Success;
        }));
        return command;
    }

    private static Command CreateStatus()
    {
        var command = new DescribedCommand("status", "Shows what members say about themselves; writes nothing.", "Works on members of arrays that are not running.") { Members };
        command.SetAction((parsed, _) => GuardAsync(async () =>
        {
            foreach (var device in await MemberDevices.OpenAsync(parsed.GetRequiredValue(Members), readOnly: true).ConfigureAwait(false))
            {
                await using (device.ConfigureAwait(false)) await ArrayText.WriteMemberAsync(parsed.InvocationConfiguration.Output, device).ConfigureAwait(false);
            }

            return ExitCode.Success;
        }));
        return command;
    }

    private static Command CreateScrub()
    {
        var repair = new Option<bool>("--repair") { Description = "Rewrite redundancy that disagrees with the data." };
        var command = new DescribedCommand("scrub", "Compares all redundancy with the data; finishes resync and rebuild first.",
            "The array must not be running. Exit code 1 if something disagreed and was not repaired.") { Members, repair, Force };
        command.SetAction((parsed, stop) => GuardAsync(async () =>
        {
            await using var array = await OpenAsync(parsed, stop).ConfigureAwait(false);
            var mismatches = await array.ScrubAsync(parsed.GetValue(repair), stop: stop).ConfigureAwait(false);
            await parsed.InvocationConfiguration.Output.WriteLineAsync($"{array.Name}: {mismatches} sectors disagreed.").ConfigureAwait(false);
            return mismatches == 0 || parsed.GetValue(repair) ? ExitCode.Success : ExitCode.Failed;
        }));
        return command;
    }

    private static Command CreateServe()
    {
        var socket = new Option<string?>("--socket") { Description = "Listen on this Unix socket.", HelpName = "PATH" };
        var port = new Option<int?>("--port") { Description = "Listen on this TCP port of the loopback address.", HelpName = "PORT" };
        var readOnly = new Option<bool>("--read-only") { Description = "Refuse writes of clients." };
        var command = new DescribedCommand("serve", "Runs an array and serves it as an NBD export of its name, until SIGTERM or Ctrl-C.",
            "Resync and rebuild go on meanwhile. Use it with nbdfuse, QEMU or a kernel NBD client on another machine; the kernel's NBD client on this\n"
            + "machine can deadlock when memory runs short, because writing back would need memory of this process.") { Members, socket, port, readOnly, Force };
        command.SetAction((parsed, stop) => GuardAsync(() => ServeAsync(parsed, parsed.GetValue(socket), parsed.GetValue(port), parsed.GetValue(readOnly), stop)));
        return command;
    }

    private static async Task<int> ServeAsync(ParseResult parsed, string? socket, int? port, bool readOnly, CancellationToken stop)
    {
        if (socket is null == port is null) throw new CommandFailedException(ExitCode.Usage, "Give either --socket or --port.");
        var output = parsed.InvocationConfiguration.Output;
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(stop);
        using var terminated = PosixSignalRegistration.Create(PosixSignal.SIGTERM, signal =>
        {
            signal.Cancel = true;
            ending.Cancel();
        });
        var devices = await MemberDevices.OpenAsync(parsed.GetRequiredValue(Members)).ConfigureAwait(false);
        await using var array = await ArrayAssembly.OpenAsync(devices, Options(parsed)).ConfigureAwait(false);
        EndPoint endpoint = socket is not null ? new UnixDomainSocketEndPoint(socket) : new IPEndPoint(IPAddress.Loopback, port!.Value);
        await using (var server = NbdServer.Start(endpoint, [new ArrayExport(array, array.Name, readOnly)]))
        {
            await output.WriteLineAsync(socket is not null ? $"nbd+unix:///{array.Name}?socket={socket}" : $"nbd://{server.Endpoint}/{array.Name}").ConfigureAwait(false);
            await ArrayUpkeep.RunAsync(array, parsed.InvocationConfiguration.Error, ending.Token).ConfigureAwait(false);
        }

        if (socket is not null) File.Delete(socket);
        return ExitCode.Success;
    }

    private static async Task<RaidArray> OpenAsync(ParseResult parsed, CancellationToken stop)
    {
        var devices = await MemberDevices.OpenAsync(parsed.GetRequiredValue(Members)).ConfigureAwait(false);
        var array = await ArrayAssembly.OpenAsync(devices, Options(parsed)).ConfigureAwait(false);
        await array.ResyncAsync(stop: stop).ConfigureAwait(false);
        await array.RebuildAsync(stop: stop).ConfigureAwait(false);
        return array;
    }

    private static ArrayOptions Options(ParseResult parsed)
    {
        var error = parsed.InvocationConfiguration.Error;
        return new ArrayOptions { Force = parsed.GetValue(Force), OnEvent = happened => error.WriteLine($"{happened.Kind}: {happened.Member} {happened.Detail}") };
    }

    // What a user can cause becomes a sentence.
    private static async Task<int> GuardAsync(Func<Task<int>> run)
    {
        try
        {
            return await run().ConfigureAwait(false);
        }
        catch (AssemblyRefusedException refusal)
        {
            throw new CommandFailedException(ExitCode.Refused, refusal.Message);
        }
        catch (Exception e) when (e is MdFormatException or ArgumentException or FormatException or SocketException or UnauthorizedAccessException
            || e is IOException && !e.Message.Contains("Broken pipe", StringComparison.Ordinal))
        {
            throw new CommandFailedException(ExitCode.Failed, e.Message);
        }
    }
}
