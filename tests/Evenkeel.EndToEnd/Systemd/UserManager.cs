using System.Diagnostics;
using System.Globalization;
using Evenkeel.Agent.Local;
using Evenkeel.Services.Systemd;

namespace Evenkeel.EndToEnd.Systemd;

/// <summary>
/// A real systemd, as a user's manager, where none is the first process: in a mount namespace in which /run says that systemd
/// runs, and in a control group of its own. Its units and everything below it are gone when it is disposed.
/// </summary>
internal sealed class UserManager : IAsyncDisposable
{
    private static readonly TimeSpan patience = TimeSpan.FromSeconds(30);
    private static readonly string[] hierarchies = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd", "/sys/fs/cgroup"];
    private readonly Process process;
    private readonly string group;

    private UserManager(Process process, string directory, string group) => (this.process, Directory, this.group) = (process, directory, group);

    public string Directory { get; }
    /// <summary>A program that is <c>systemctl</c> for this manager.</summary>
    public string Program => Path.Combine(Directory, "systemctl");
    public Systemctl Systemctl => new(Program);
    public DropIn DropIn => new(Path.Combine(Directory, "run", "systemd", "user"));
    private string Units => Path.Combine(Directory, "config", "systemd", "user");

    public static async Task<UserManager> StartAsync(CancellationToken cancellation)
    {
        var directory = System.IO.Directory.CreateTempSubdirectory("ek-systemd-").FullName;
        foreach (var name in new[] { "run", "config/systemd/user" }) System.IO.Directory.CreateDirectory(Path.Combine(directory, name));
        File.SetUnixFileMode(Path.Combine(directory, "run"), UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        var group = $"ek-systemd-{Path.GetFileName(directory)}";
        // A manager rules over the control group that it was started in.
        var joins = string.Concat(hierarchies.Where(root => File.Exists(Path.Combine(root, "cgroup.procs"))).Select(root => $"mkdir {root}/{group}; echo $$ > {root}/{group}/cgroup.procs; "));
        var process = Process.Start(new ProcessStartInfo("unshare", ["-m", "sh", "-c",
            $"{joins}mkdir -p /run/systemd; mount -t tmpfs tmpfs /run/systemd; mkdir /run/systemd/system; exec /lib/systemd/systemd --user >/dev/null 2>&1"])
        {
            Environment = { ["XDG_RUNTIME_DIR"] = Path.Combine(directory, "run"), ["XDG_CONFIG_HOME"] = Path.Combine(directory, "config"), ["HOME"] = directory },
        })!;
        var manager = new UserManager(process, directory, group);
        File.WriteAllText(manager.Program, string.Create(CultureInfo.InvariantCulture,
            $"#!/bin/sh\nexport XDG_RUNTIME_DIR={directory}/run XDG_CONFIG_HOME={directory}/config\nexec nsenter --mount=/proc/{process.Id}/ns/mnt systemctl --user \"$@\"\n"));
        File.SetUnixFileMode(manager.Program, (UnixFileMode)0b111_101_101);
        for (var clock = Stopwatch.StartNew(); ; await Task.Delay(50, cancellation))
        {
            var said = await manager.TryAsync(["is-system-running"], cancellation);
            if (said.Trim() == "running") return manager;
            if (clock.Elapsed > patience) throw new TimeoutException($"systemd does not run: {said}");
        }
    }

    /// <param name="unit">A unit's file name, or that of a drop-in.</param>
    public async Task AddAsync(string unit, string text, CancellationToken cancellation)
    {
        System.IO.Directory.CreateDirectory(Path.GetDirectoryName(Path.Combine(Units, unit))!);
        File.WriteAllText(Path.Combine(Units, unit), text);
        await AskAsync(["daemon-reload"], cancellation);
    }

    /// <exception cref="LocalClusterException">It said no.</exception>
    public Task<string> AskAsync(string[] command, CancellationToken cancellation) => SystemCommand.RunAsync([Program, .. command], cancellation);

    /// <summary>A command beside the units, in the file tree of the manager itself.</summary>
    public Task<string> OutsideAsync(string[] command, CancellationToken cancellation) => SystemCommand.RunAsync(["nsenter", $"--mount=/proc/{process.Id}/ns/mnt", .. command], cancellation);

    public async Task<string> PropertyAsync(string unit, string name, CancellationToken cancellation) =>
        (await AskAsync(["show", "--value", "--property=" + name, unit], cancellation)).Trim();

    private async Task<string> TryAsync(string[] command, CancellationToken cancellation)
    {
        try
        {
            return await AskAsync(command, cancellation);
        }
        catch (LocalClusterException exception)
        {
            return exception.Message;
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (!process.HasExited)
        {
            Signals.Send(process.Id, Signals.Terminate);
            if (!process.WaitForExit(TimeSpan.FromSeconds(10))) process.Kill();
        }

        process.Dispose();
        // What its units left behind (it kills main processes alone where they say so) goes with the group.
        foreach (var root in hierarchies.Select(root => Path.Combine(root, group)).Where(System.IO.Directory.Exists))
        {
            for (var round = 0; round < 100 && System.IO.Directory.Exists(root); round++)
            {
                foreach (var inner in System.IO.Directory.GetDirectories(root, "*", SearchOption.AllDirectories).Append(root).OrderByDescending(path => path.Length))
                {
                    foreach (var id in File.ReadAllLines(Path.Combine(inner, "cgroup.procs"))) Signals.Send(int.Parse(id, CultureInfo.InvariantCulture), Signals.Kill);
                    try
                    {
                        System.IO.Directory.Delete(inner);
                    }
                    catch (IOException)
                    {
                        // Its processes take a moment to be gone.
                    }
                }

                await Task.Delay(20);
            }
        }

        System.IO.Directory.Delete(Directory, recursive: true);
    }
}
