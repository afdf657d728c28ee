# The portal of LemonLDAP::NG; LLNG_DEFAULTCONFFILE says where its configuration is.
use Lemonldap::NG::Portal::Main;

Lemonldap::NG::Portal::Main->run( {} );
