using System.Diagnostics;
using Xunit;

namespace Evenkeel.EndToEnd.Lab;

/// <summary>
/// The program as an earlier commit builds it: what an upgrade begins with. Made out of this checkout's history, once a checkout
/// (the program and its guard alone, nothing analysed; the guard ahead of time as ever, the rest not).
/// </summary>
internal static class PreviousBuild
{
    /// <summary>The last one that speaks version 4 of the nodes' messages. To be moved when <c>BeatCodec.Oldest</c> rises.</summary>
    private const string Commit = "009d60f6a48ec57662eba53ae9ec3d92c467b8f8";

    public static async Task<string> ProgramAsync(CancellationToken cancellation)
    {
        var built = Path.Combine(Checkout.Root, "artifacts", "previous", Commit[..12]);
        var program = Path.Combine(built, "evenkeel");
        if (File.Exists(program)) return program;
        await ExpectCommitAsync(cancellation);
        var making = Directory.CreateDirectory(Path.Combine(Checkout.Root, "artifacts", "previous", $"making-{Environment.ProcessId}")).FullName;
        try
        {
            await ExpectAsync(Checkout.Root, cancellation, "git", "archive", "--format=tar", "-o", Path.Combine(making, "source.tar"), Commit);
            await ExpectAsync(making, cancellation, "tar", "-xf", "source.tar");
            var output = Path.Combine(making, "out");
            await PublishAsync(making, "src/Evenkeel.Cli", output, cancellation, "--self-contained", "false", "-p:PublishReadyToRun=false");
            await PublishAsync(making, "src/Evenkeel.Guard", Path.Combine(output, "guard"), cancellation, "-p:PublishAot=true");
            // Whole or not at all: a build that was interrupted leaves no program that lacks its guard.
            Directory.Move(output, built);
        }
        finally { Directory.Delete(making, recursive: true); }
        return program;
    }

    private static async Task ExpectCommitAsync(CancellationToken cancellation)
    {
        var (code, said) = await RunAsync(Checkout.Root, cancellation, "git", "cat-file", "-e", Commit + "^{commit}");
        Assert.True(code == 0, $"the upgrade test builds commit {Commit}, which this checkout's history does not have. A shallow clone lacks it: "
            + $"git fetch --unshallow (in CI: fetch-depth: 0). {said}");
    }

    private static Task PublishAsync(string source, string project, string to, CancellationToken cancellation, params string[] compiled) => ExpectAsync(source, cancellation,
        ["dotnet", "publish", project, "-c", "Release", "-r", Machine, .. compiled, "-p:NuGetLockFilePath=obj/machine.lock.json",
        // Its sources lie in this checkout, and would be called by this one's commit.
        "-p:IncludeSourceRevisionInInformationalVersion=false", $"-p:InformationalVersion=0.1.0+{Commit}",
        "-p:RunAnalyzers=false", "-p:EnforceCodeStyleInBuild=false", "-p:NuGetAudit=false", "-v", "quiet", "--nologo", "-o", to]);

    private static string Machine => System.Runtime.InteropServices.RuntimeInformation.ProcessArchitecture == System.Runtime.InteropServices.Architecture.Arm64 ? "linux-arm64" : "linux-x64";

    private static async Task ExpectAsync(string where, CancellationToken cancellation, params string[] command)
    {
        var (code, said) = await RunAsync(where, cancellation, command);
        Assert.True(code == 0, $"{string.Join(' ', command)} ended with {code}: {said}");
    }

    private static async Task<(int Code, string Said)> RunAsync(string where, CancellationToken cancellation, params string[] command)
    {
        using var process = Process.Start(new ProcessStartInfo(command[0], command.Skip(1)) { WorkingDirectory = where, RedirectStandardOutput = true, RedirectStandardError = true })!;
        try
        {
            var errors = process.StandardError.ReadToEndAsync(cancellation);
            var output = await process.StandardOutput.ReadToEndAsync(cancellation);
            await process.WaitForExitAsync(cancellation);
            return (process.ExitCode, output + await errors);
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            throw;
        }
    }
}
