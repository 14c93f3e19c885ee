using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using Evenkeel.Backup.Backends;
using Microsoft.AspNetCore.Http;

namespace Evenkeel.Backup.Server;

/// <summary>Answers one request of restic's REST protocol: who asks, may they, and then the file.</summary>
internal sealed class RequestHandler(
    RepositoryServerOptions options, ServedFiles files, PasswordFile? users, PasswordFile? maintainers, Action<string> log)
{
    private enum Role
    {
        Nobody,
        User,
        Maintainer,
    }

    public async Task HandleAsync(HttpContext context)
    {
        try
        {
            if (await AnswerAsync(context).ConfigureAwait(false) is { } status)
            {
                context.Response.StatusCode = status;
            }
        }
        catch (OperationCanceledException) when (context.RequestAborted.IsCancellationRequested)
        {
            // the client went away
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException && !context.Response.HasStarted)
        {
            log($"{context.Request.Method} {context.Request.Path}: {e.Message}");
            var full = (e.HResult & 0xffff) is LocalBackend.ErrorNoSpace or LocalBackend.ErrorQuota;
            context.Response.StatusCode = full ? StatusCodes.Status507InsufficientStorage : StatusCodes.Status500InternalServerError;
        }
    }

    private async Task<int?> AnswerAsync(HttpContext context)
    {
        var (role, user) = WhoAsks(context.Request);
        if (role == Role.Nobody)
        {
            context.Response.Headers.WWWAuthenticate = "Basic realm=\"repositories\"";
            return StatusCodes.Status401Unauthorized;
        }
        var path = RepositoryPath.Parse(context.Request.Path.Value ?? "");
        if (path is null)
        {
            return StatusCodes.Status400BadRequest;
        }
        if (options.PrivateRepositories && role != Role.Maintainer && (path.Repository.Count == 0 || path.Repository[0] != user))
        {
            return StatusCodes.Status403Forbidden;
        }
        var owner = options.PrivateRepositories && path.Repository.Count > 0 ? path.Repository[0] : "";
        var mayRemove = !options.AppendOnly || role == Role.Maintainer || path.Kind == FileKind.Lock;
        switch (context.Request.Method, path)
        {
            case ("POST", { Kind: null }) when context.Request.Query["create"] == "true":
                files.Create(path);
                return StatusCodes.Status200OK;
            case ("GET", { Kind: not null, Name: null }):
                await ListAsync(context, path).ConfigureAwait(false);
                return null;
            case ("GET" or "HEAD", { Name: not null }):
                return await SendAsync(context, path).ConfigureAwait(false);
            case ("POST", { Name: not null }):
                return await ReceiveAsync(context, path, owner).ConfigureAwait(false);
            case ("DELETE", { Name: not null }):
                return !mayRemove ? StatusCodes.Status403Forbidden
                    : files.Delete(path, owner) ? StatusCodes.Status200OK : StatusCodes.Status404NotFound;
            default:
                return StatusCodes.Status405MethodNotAllowed;
        }
    }

    private (Role Role, string? User) WhoAsks(HttpRequest request)
    {
        var (user, password) = Credential(request);
        if (user is not null && maintainers?.IsRight(user, password) == true)
        {
            return (Role.Maintainer, user);
        }
        return users is null ? (Role.User, null) : user is not null && users.IsRight(user, password) ? (Role.User, user) : (Role.Nobody, null);
    }

    private static (string? User, string Password) Credential(HttpRequest request)
    {
        if (!AuthenticationHeaderValue.TryParse(request.Headers.Authorization, out var header)
            || !header.Scheme.Equals("Basic", StringComparison.OrdinalIgnoreCase) || header.Parameter is null)
        {
            return (null, "");
        }
        try
        {
            var pair = Encoding.UTF8.GetString(Convert.FromBase64String(header.Parameter)).Split(':', 2);
            return pair.Length == 2 ? (pair[0], pair[1]) : (null, "");
        }
        catch (FormatException)
        {
            return (null, "");
        }
    }

    private async Task ListAsync(HttpContext context, RepositoryPath path)
    {
        var entries = files.List(path);
        if (context.Request.Headers.Accept.ToString().Contains(RestBackend.ListType, StringComparison.Ordinal))
        {
            context.Response.ContentType = RestBackend.ListType;
            await JsonSerializer.SerializeAsync(context.Response.Body, entries.ToList(), RestJson.Default.ListRestEntry, context.RequestAborted).ConfigureAwait(false);
            return;
        }
        context.Response.ContentType = "application/vnd.x.restic.rest.v1";
        await JsonSerializer.SerializeAsync(
            context.Response.Body, entries.Select(e => e.Name).ToList(), RestJson.Default.ListString, context.RequestAborted).ConfigureAwait(false);
    }

    private async Task<int?> SendAsync(HttpContext context, RepositoryPath path)
    {
        var file = new FileInfo(files.PathOf(path));
        if (!file.Exists)
        {
            return StatusCodes.Status404NotFound;
        }
        var response = context.Response;
        response.ContentType = "application/octet-stream";
        response.Headers.AcceptRanges = "bytes";
        long from = 0, to = file.Length - 1;
        if (context.Request.GetTypedHeaders().Range is { Ranges.Count: 1, Unit.Value: "bytes" } asked)
        {
            var range = asked.Ranges.First();
            (from, to) = range.From is { } start ? (start, Math.Min(range.To ?? to, to)) : (Math.Max(0, file.Length - (range.To ?? 0)), to);
            if (from > to)
            {
                return StatusCodes.Status416RangeNotSatisfiable;
            }
            response.StatusCode = StatusCodes.Status206PartialContent;
            response.Headers.ContentRange = $"bytes {from}-{to}/{file.Length}";
        }
        response.ContentLength = to - from + 1;
        if (context.Request.Method == "GET")
        {
            await response.SendFileAsync(file.FullName, from, to - from + 1, context.RequestAborted).ConfigureAwait(false);
        }
        return null;
    }

    private async Task<int?> ReceiveAsync(HttpContext context, RepositoryPath path, string owner)
    {
        var result = await files.SaveAsync(path, owner, context.Request.Body, context.RequestAborted).ConfigureAwait(false);
        if (result != Stored.Done)
        {
            // Answered in the middle of its upload, a client may see a broken connection instead of the refusal, and try again.
            await context.Request.Body.CopyToAsync(Stream.Null, context.RequestAborted).ConfigureAwait(false);
        }
        return result switch
        {
            Stored.Done => StatusCodes.Status200OK,
            Stored.Exists => StatusCodes.Status403Forbidden,
            Stored.WrongHash => StatusCodes.Status400BadRequest,
            _ => StatusCodes.Status507InsufficientStorage,
        };
    }
}
