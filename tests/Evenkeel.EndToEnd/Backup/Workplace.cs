using System.Diagnostics;

namespace Evenkeel.EndToEnd.Backup;

/// <summary>A directory of its own for one test, with Debian's restic at hand; removed at the end.</summary>
internal sealed class Workplace : IDisposable
{
    public const string Password = "correct horse";

    public Workplace()
    {
        Root = Directory.CreateTempSubdirectory("evenkeel-backup-").FullName;
        Source = Path.Combine(Root, "source");
        Repository = Path.Combine(Root, "repository");
        Directory.CreateDirectory(Source);
    }

    public string Root { get; }

    public string Source { get; }

    public string Repository { get; }

    /// <summary>Runs restic on the repository; fails with its words unless it ends with 0.</summary>
    public string Restic(params string[] arguments) => Run("restic", ["-r", Repository, "--no-cache", .. arguments]);

    public string Shell(string script) => Run("bash", ["-euc", script]);

    public string Run(string program, IReadOnlyList<string> arguments)
    {
        var (code, output, error) = TryRun(program, arguments);
        return code == 0 ? output : throw new InvalidOperationException($"{program} {string.Join(' ', arguments)} ended with {code}:\n{output}\n{error}");
    }

    public (int Code, string Output, string Error) TryRun(string program, IReadOnlyList<string> arguments)
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = Root,
            Environment = { ["RESTIC_PASSWORD"] = Password, ["EVENKEEL_BACKUP_PASSWORD"] = Password, ["LC_ALL"] = "C.UTF-8", ["EVENKEEL_BACKUP_STATE"] = Root + "/state" },
        };
        using var process = Process.Start(start)!;
        var error = process.StandardError.ReadToEndAsync();
        var output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, output, error.Result);
    }

    public void Dispose()
    {
        // .NET cannot delete names that are not UTF-8. Never into what a failed test left mounted there.
        Run("rm", ["-rf", "--one-file-system", Root]);
    }
}
