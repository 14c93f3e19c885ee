using System.Diagnostics;

namespace Evenkeel.RaidBench;

/// <summary>
/// Random writes of 4 KiB at depth 32 with a flush after every 64: our arrays over files through NBD, btrfs over loop devices of files of
/// the same size on the same disk.
/// </summary>
internal static class ArrayPart
{
    private const long MemberBytes = 512 << 20;
    private const double Seconds = 4;

    public static async Task RunAsync(Table table, int rounds, WorkDirectory work)
    {
        foreach (var (level, profile, members) in new[] { ("1", "raid1", 2), ("5", "raid5", 4), ("6", "raid6", 5) })
        {
            var files = Enumerable.Range(0, members).Select(i => work.Filled($"m{level}-{i}", MemberBytes)).ToArray();
            var row = $"RAID {level} of {members}, randwrite 4k, depth 32, flush each 64, requests/s";
            for (var round = 0; round < rounds; round++)
            {
                foreach (var ours in round % 2 == 0 ? new[] { true, false } : [false, true])
                    table.Add(row, ours ? "Evenkeel" : $"btrfs {profile}", ours ? await OursAsync(work, level, files) : await BtrfsAsync(work, profile, files));
            }

            foreach (var file in files) File.Delete(file);
        }
    }

    private static async Task<double> OursAsync(WorkDirectory work, string level, string[] files)
    {
        var socket = work.Socket();
        await using var peer = await Peer.OursAsync([socket, "array", level, .. files]);
        return await Fio.NbdAsync($"nbd+unix:///?socket={socket}", "randwrite", "4k", 32, Seconds, "--fsync=64", "--size=256m");
    }

    private static async Task<double> BtrfsAsync(WorkDirectory work, string profile, string[] files)
    {
        var loops = new List<string>();
        var mount = Path.Combine(work.Path, "mnt");
        try
        {
            foreach (var file in files) loops.Add(await ShellAsync("losetup", "--find", "--show", file));
            await ShellAsync("mkfs.btrfs", ["-q", "-f", "-d", profile, "-m", "raid1", .. loops]);
            Directory.CreateDirectory(mount);
            await ShellAsync("mount", ["-o", string.Join(',', loops.Select(loop => $"device={loop}")), loops[0], mount]);
            try
            {
                return await Fio.RunAsync(["--ioengine=libaio", $"--filename={mount}/file", "--size=256m", "--rw=randwrite", "--bs=4k", "--iodepth=32", "--direct=1", "--fsync=64", $"--runtime={Seconds}", "--time_based"]);
            }
            finally
            {
                await ShellAsync("umount", mount);
            }
        }
        finally
        {
            foreach (var loop in loops) await ShellAsync("losetup", "--detach", loop);
        }
    }

    private static async Task<string> ShellAsync(string program, params string[] words)
    {
        using var process = Process.Start(new ProcessStartInfo(program, words) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        var output = process.StandardOutput.ReadToEndAsync();
        var error = process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync();
        if (process.ExitCode != 0) throw new InvalidOperationException($"{program}: {await error}");
        return (await output).Trim();
    }
}
