using System.CommandLine;
using System.Diagnostics;
using Evenkeel.Backup;
using Evenkeel.Backup.Backends;
using Evenkeel.Backup.Repository;

namespace Evenkeel.Cli.Backup;

/// <summary>Where the repository is and how to open it; shared by all backup commands.</summary>
internal sealed class RepositoryOptions
{
    private const string RepositoryVariable = "EVENKEEL_BACKUP_REPOSITORY";
    private const string PasswordVariable = "EVENKEEL_BACKUP_PASSWORD";
    private const string UserVariable = "EVENKEEL_BACKUP_REST_USERNAME";
    private const string UserPasswordVariable = "EVENKEEL_BACKUP_REST_PASSWORD";
    private readonly string _prefix;

    public RepositoryOptions(string prefix = "")
    {
        _prefix = prefix;
        Repository = new($"--{prefix}repository") { Description = $"The repository: a directory, rest:https://HOST/PATH, s3:https://HOST/BUCKET/PATH or sftp:USER@HOST:PATH. Default: ${VariableName(RepositoryVariable)}." };
        if (prefix.Length == 0)
        {
            Repository.Aliases.Add("-r");
        }
        PasswordFile = new($"--{prefix}password-file") { Description = "A file whose first line is the password." };
        AuthorityFile = new($"--{prefix}ca-file") { Description = "PEM file of the authority that signed the repository server's certificate." };
        CredentialsFile = new($"--{prefix}credentials-file") { Description = "A file with USER:PASSWORD for a repository server, or KEY:SECRET for S3." };
        PasswordCommand = new($"--{prefix}password-command") { Description = "A shell command that prints the password." };
    }

    public Option<string?> Repository { get; }

    public Option<string?> PasswordFile { get; }

    public Option<string?> PasswordCommand { get; }

    public Option<string?> AuthorityFile { get; }

    public Option<string?> CredentialsFile { get; }

    public void AddTo(Command command)
    {
        command.Options.Add(Repository);
        command.Options.Add(PasswordFile);
        command.Options.Add(PasswordCommand);
        command.Options.Add(AuthorityFile);
        command.Options.Add(CredentialsFile);
    }

    /// <summary>The backend of a place, else of the one that the options or the environment name.</summary>
    public IBackend Backend(ParseResult parsed, string? named = null)
    {
        var place = named ?? parsed.GetValue(Repository) ?? Environment.GetEnvironmentVariable(VariableName(RepositoryVariable));
        if (string.IsNullOrEmpty(place))
        {
            throw new CommandFailedException(ExitCode.Usage, "no repository is given",
                $"Say --{_prefix}repository PLACE, or set {VariableName(RepositoryVariable)}.");
        }
        try
        {
            return Open(place, parsed.GetValue(CredentialsFile), parsed.GetValue(AuthorityFile), VariableName);
        }
        catch (FormatException e)
        {
            throw new CommandFailedException(ExitCode.Usage, e.Message);
        }
    }

    /// <summary>Opens a place with the credentials of a file, else of the environment.</summary>
    public static IBackend Open(string place, string? credentialsFile, string? authorityFile, Func<string, string>? variable = null)
    {
        var (user, password) = credentialsFile is null
            ? (Environment.GetEnvironmentVariable(variable?.Invoke(UserVariable) ?? UserVariable), Environment.GetEnvironmentVariable(variable?.Invoke(UserPasswordVariable) ?? UserPasswordVariable))
            : Credentials(credentialsFile);
        return BackendLocation.Open(place, new BackendCredentials(user, password, authorityFile), TimeProvider.System);
    }

    public string Password(ParseResult parsed)
    {
        if (parsed.GetValue(PasswordFile) is { } file)
        {
            return FromFile(file);
        }
        if (parsed.GetValue(PasswordCommand) is { } command)
        {
            return FromCommand(command);
        }
        return Environment.GetEnvironmentVariable(VariableName(PasswordVariable)) is { Length: > 0 } password ? password
            : throw new CommandFailedException(ExitCode.Usage, "no password is given",
                $"Say --{_prefix}password-file FILE or --{_prefix}password-command COMMAND, or set {VariableName(PasswordVariable)}.");
    }

    /// <summary>Runs an action on the open repository; its failures become lines and exit codes.</summary>
    [System.Diagnostics.CodeAnalysis.SuppressMessage("Design", "CA1068", Justification = "The action is a whole command's body; it reads best last.")]
    public async Task<int> UseAsync(ParseResult parsed, CancellationToken cancellation, Func<ResticRepository, Task<int>> action, bool? exclusive = false)
    {
        return await Outcome.OfAsync(async () =>
        {
            await using var repository = await ResticRepository.OpenAsync(Backend(parsed), Password(parsed), TimeProvider.System, cancellation).ConfigureAwait(false);
            if (exclusive is null)
            {
                return await action(repository).ConfigureAwait(false);
            }
            await using var held = await RepositoryLock.AcquireAsync(repository, exclusive.Value, cancellation).ConfigureAwait(false);
            await using var ends = EndWith(held).ConfigureAwait(false);
            return await action(repository).ConfigureAwait(false);
        }).ConfigureAwait(false);
    }

    /// <summary>Who cannot refresh its lock may be thought gone by others. Every command may be killed at any moment without harm; so it ends itself.</summary>
    public static CancellationTokenRegistration EndWith(RepositoryLock held) => held.Lost.Register(() =>
    {
        Console.Error.WriteLine("evenkeel: the repository's lock could not be refreshed, others may take it for left behind: ended; begin again");
        Environment.Exit(ExitCode.Failed);
    });

    private static (string User, string Password) Credentials(string file)
    {
        var parts = FromFile(file).Split(':', 2);
        return parts.Length == 2 ? (parts[0], parts[1])
            : throw new CommandFailedException(ExitCode.Configuration, $"{file} is no credentials file: its first line is USER:PASSWORD");
    }

    public static string FromFile(string file)
    {
        try
        {
            return NotEmpty(File.ReadLines(file).FirstOrDefault(), file);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new CommandFailedException(ExitCode.Configuration, $"the password file cannot be read: {e.Message}");
        }
    }

    private static string FromCommand(string command)
    {
        using var process = Process.Start(new ProcessStartInfo("/bin/sh", ["-c", command]) { RedirectStandardOutput = true })!;
        var output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return process.ExitCode == 0 ? NotEmpty(output.Split('\n')[0].TrimEnd('\r'), command)
            : throw new CommandFailedException(ExitCode.Configuration, $"the password command ended with {process.ExitCode}");
    }

    private static string NotEmpty(string? password, string source) => !string.IsNullOrEmpty(password) ? password
        : throw new CommandFailedException(ExitCode.Configuration, $"{source} gave no password");

    private string VariableName(string name) =>
        _prefix.Length == 0 ? name : name.Replace("BACKUP_", $"BACKUP_{_prefix.TrimEnd('-').ToUpperInvariant()}_", StringComparison.Ordinal);
}
