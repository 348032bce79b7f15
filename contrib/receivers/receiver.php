<?php
// A receiver of OpenClick's webhooks: checks the signature, prints each event once.
//
//     WEBHOOK_SECRET=whsec_... php -S 127.0.0.1:8080 receiver.php
//
// No dependency.  `verify` is what to take over into your own application: give it the raw bytes of
// the body, as php://input has them.
declare(strict_types=1);

const TOLERANCE_SECONDS = 300;

// Returns whether an Anypost-Signature holds.
function verify(string $secret, string $header, string $body, int $now): bool
{
    $stamps = [];
    $candidates = [];
    foreach (explode(',', $header) as $part) {
        [$key, $value] = explode('=', trim($part), 2) + [1 => ''];
        if ($key === 't') {
            $stamps[] = $value;
        } elseif ($key === 'v1') {
            $candidates[] = $value;
        }
    }
    if (count($stamps) !== 1 || !ctype_digit($stamps[0])) {
        return false;
    }
    if (abs($now - (int) $stamps[0]) > TOLERANCE_SECONDS) {
        return false;
    }
    $expected = hash_hmac('sha256', $stamps[0] . '.' . $body, $secret);
    // During a rotation there are two signatures; whoever holds either secret finds one.
    foreach ($candidates as $candidate) {
        if (hash_equals($expected, $candidate)) {
            return true;
        }
    }
    return false;
}

// Takes each event once.  A file with a lock keeps the ids here, since PHP forgets everything
// between two requests; in your application: a table with a unique key.
function take(array $events): void
{
    $seen = fopen(getenv('WEBHOOK_SEEN') ?: sys_get_temp_dir() . '/openclick-seen', 'c+');
    flock($seen, LOCK_EX);
    $known = array_flip(explode("\n", stream_get_contents($seen)));
    foreach ($events as $event) {
        if (!isset($known[$event['id']])) {
            $known[$event['id']] = true;
            fwrite($seen, $event['id'] . "\n");
            file_put_contents('php://stdout', $event['id'] . ' ' . $event['type'] . "\n");
        }
    }
    fclose($seen);
}

$body = file_get_contents('php://input');
$header = $_SERVER['HTTP_ANYPOST_SIGNATURE'] ?? '';
if (!verify((string) getenv('WEBHOOK_SECRET'), $header, $body, time())) {
    http_response_code(400);
    return;
}
take(json_decode($body, true, 64, JSON_THROW_ON_ERROR)['events']);
http_response_code(204);
