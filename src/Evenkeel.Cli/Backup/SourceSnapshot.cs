using System.Diagnostics;

namespace Evenkeel.Cli.Backup;

/// <summary>A read-only snapshot of the file system that holds a path; removed when disposed.</summary>
internal sealed class SourceSnapshot : IAsyncDisposable
{
    private readonly IReadOnlyList<IReadOnlyList<string>> _removal;

    private SourceSnapshot(string view, IReadOnlyList<IReadOnlyList<string>> removal) => (View, _removal) = (view, removal);

    /// <summary>Where the path is in the snapshot.</summary>
    public string View { get; }

    /// <summary>Of the btrfs subvolume that the path is in. Subvolumes below it are empty in a snapshot, as btrfs has it.</summary>
    public static async Task<SourceSnapshot> OfBtrfsAsync(string path, CancellationToken cancellation)
    {
        var root = path;
        // The root of each subvolume has this inode (btrfs's BTRFS_FIRST_FREE_OBJECTID).
        while ((await RunAsync(["stat", "--format", "%i", root], cancellation).ConfigureAwait(false)).Trim() != "256" || !Directory.Exists(root))
        {
            root = Path.GetDirectoryName(root) ?? throw new CommandFailedException(ExitCode.Failed, $"{path} is in no btrfs subvolume", "Take the files as they are, without --filesystem-snapshot");
        }
        var name = Path.Combine(root, $".evenkeel-{Guid.NewGuid():N}");
        await RunAsync(["btrfs", "subvolume", "snapshot", "-r", root, name], cancellation).ConfigureAwait(false);
        return new SourceSnapshot(Path.Join(name, path[root.TrimEnd('/').Length..]), [["btrfs", "subvolume", "delete", name]]);
    }

    /// <summary>Of the LVM logical volume that the path's file system is on; it may take a tenth of the volume's size in changes.</summary>
    public static async Task<SourceSnapshot> OfLogicalVolumeAsync(string path, CancellationToken cancellation)
    {
        var found = (await RunAsync(["findmnt", "--noheadings", "--raw", "--output", "SOURCE,TARGET,FSTYPE", "--target", path], cancellation).ConfigureAwait(false)).Trim().Split(' ');
        if (found.Length < 3)
        {
            throw new CommandFailedException(ExitCode.Failed, $"it cannot be told on which volume {path} is");
        }
        var volume = (await RunAsync(["lvs", "--noheadings", "--separator", "/", "--options", "vg_name,lv_name", found[0]], cancellation).ConfigureAwait(false)).Trim();
        var name = $"evenkeel-{Guid.NewGuid():N}"[..24];
        var removal = new List<IReadOnlyList<string>>();
        await RunAsync(["lvcreate", "--snapshot", "--permission", "r", "--extents", "10%ORIGIN", "--name", name, volume], cancellation).ConfigureAwait(false);
        removal.Add(["lvremove", "--yes", $"{volume.Split('/')[0]}/{name}"]);
        var place = Directory.CreateTempSubdirectory("evenkeel-snapshot-").FullName;
        removal.Insert(0, ["rmdir", place]);
        // XFS refuses a second file system with the same identity.
        await RunAsync(["mount", "--options", found[2] == "xfs" ? "ro,nouuid" : "ro", $"/dev/{volume.Split('/')[0]}/{name}", place], cancellation).ConfigureAwait(false);
        removal.Insert(0, ["umount", place]);
        return new SourceSnapshot(Path.Join(place, path[(found[1] == "/" ? 0 : found[1].Length)..]), removal);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var command in _removal)
        {
            await RunAsync(command, CancellationToken.None).ConfigureAwait(false);
        }
    }

    private static async Task<string> RunAsync(IReadOnlyList<string> command, CancellationToken cancellation)
    {
        try
        {
            using var process = Process.Start(new ProcessStartInfo(command[0], command.Skip(1)) { RedirectStandardOutput = true, RedirectStandardError = true })!;
            var error = process.StandardError.ReadToEndAsync(CancellationToken.None);
            var output = await process.StandardOutput.ReadToEndAsync(CancellationToken.None).ConfigureAwait(false);
            await process.WaitForExitAsync(cancellation).ConfigureAwait(false);
            return process.ExitCode == 0 ? output
                : throw new CommandFailedException(ExitCode.Failed, $"{string.Join(' ', command)}: {(await error.ConfigureAwait(false)).Trim()}");
        }
        catch (System.ComponentModel.Win32Exception)
        {
            throw new CommandFailedException(ExitCode.Failed, $"{command[0]} is not installed", command[0] == "btrfs" ? "It is in the package btrfs-progs" : "It is in the package lvm2");
        }
    }
}
